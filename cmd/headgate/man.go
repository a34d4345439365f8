package main

import (
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// manSection is where a daemon's manual belongs.
const manSection = 8

// manCommand prints the manual. Packagers call it; people have --help.
func manCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "man",
		Usage:     "print the manual page, in roff",
		UsageText: text("man", "headgate man | gzip > headgate.8.gz"),
		Hidden:    true,
		Action: func(c *cli.Context) error {
			if err := noArgs(c); err != nil {
				return err
			}
			describe(c.App.Commands)
			page, err := c.App.ToManWithSection(manSection)
			if err != nil {
				return err
			}
			_, err = io.WriteString(e.stdout, strings.TrimRight(page, "\n")+"\n"+manRest)
			return err
		},
	}
}

// describe moves what --help says of commands to where the manual, too, takes it from.
func describe(commands []*cli.Command) {
	for _, c := range commands {
		if c.Description != "" {
			c.Usage += ".\n\n" + c.Description
		}
		describe(c.Subcommands)
	}
}

// manRest is what the manual says beyond the commands.
const manRest = `
.SH SIGNALS
Of \fBheadgate run\fP:
.TP
SIGHUP
reads the file again and applies its balancers; a file with a fault changes nothing.
.TP
SIGTERM, SIGINT
stop the daemon. The data path goes on forwarding, and the next \fBheadgate run\fP takes it over.

.SH EXIT STATUS
0 when it is done, 1 when it was refused or failed, 2 when it was called wrongly.

.SH ENVIRONMENT
A variable that is empty is as good as unset.
.TP
HEADGATE_CONFIG
the file to run, for \fB--config\fP
.TP
HEADGATE_SOCKET, HEADGATE_BPFFS
for \fB--socket\fP and \fB--bpffs\fP
.TP
NO_COLOR
no colours, also on a terminal

.SH FILES
.TP
/etc/headgate/headgate.yaml
the configuration; README.md, in /usr/share/doc/headgate, has its keys
.TP
/run/headgate/headgate.sock
the daemon's socket, for its owner only
.TP
/var/lib/headgate
the desired state and the latest events
.TP
/sys/fs/bpf/headgate
the pins: tables and attachments, which outlive the daemon

.SH SEE ALSO
bpftool(8), ip-link(8), ethtool(8), systemd.service(5)
`
