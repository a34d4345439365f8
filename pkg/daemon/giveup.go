package daemon

import (
	"context"
	"fmt"
	"os"
)

// giveUp goes on with fewer powers, and says which files cannot be read again with them.
func (d *daemon) giveUp(context.Context) error {
	if d.GiveUp == nil {
		return nil
	}
	if err := d.GiveUp(); err != nil {
		return err
	}
	a := d.config.API
	for _, path := range []string{d.File, a.TokenFile, a.TLSCert, a.TLSKey} {
		if path == "" {
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			d.warnings = append(d.warnings, fmt.Sprintf("%v: changes to it count only from the next start; make it the daemon's user's", err))
			continue
		}
		_ = f.Close()
	}
	return nil
}
