package main

import (
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/daemon"
	"github.com/headgate/headgate/pkg/privilege"
)

func runCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "the daemon: load, attach, check, serve",
		UsageText: text("run -c FILE [--log-format text|json] [--log-level L]", "headgate run -c /etc/headgate/headgate.yaml"),
		Description: "Runs in the foreground and logs to stderr. SIGHUP reads the file again and applies its balancers;\n" +
			"a file with a fault changes nothing. SIGTERM and SIGINT stop the daemon and leave the data path\n" +
			"forwarding: the next run takes it over with every flow, `headgate detach` removes it.\n" +
			"Under systemd (Type=notify) it is ready once the program is attached and the table is written.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Aliases: []string{"c"}, EnvVars: variable("HEADGATE_CONFIG"), Usage: "`FILE` to run"},
			&cli.StringFlag{Name: "log-format", Value: "text", Usage: "`FORMAT`: text or json"},
			&cli.StringFlag{Name: "log-level", Value: "info", Usage: "`LEVEL`: debug, info, warn or error"},
		},
		Action: func(c *cli.Context) error {
			if err := noArgs(c); err != nil {
				return err
			}
			path := c.String("config")
			if path == "" {
				return usage(c, "run needs a file: -c FILE")
			}
			log, err := logger(c, e)
			if err != nil {
				return err
			}
			collectSooner()
			return daemon.Run(c.Context, daemon.Options{
				File: path, Version: ownBuild().Version, Log: log, Reload: e.hangups, GiveUp: privilege.KeepDaemon,
			})
		},
	}
}

// collectSooner lets the heap grow by half between collections, not to its double: it is small, and memory is
// what a host would rather have. GOGC still says otherwise.
func collectSooner() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

func logger(c *cli.Context, e env) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.String("log-level"))); err != nil {
		return nil, usage(c, "--log-level %s: must be debug, info, warn or error", c.String("log-level"))
	}
	opts := &slog.HandlerOptions{Level: level}
	switch f := c.String("log-format"); f {
	case "text":
		return slog.New(slog.NewTextHandler(e.stderr, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(e.stderr, opts)), nil
	default:
		return nil, usage(c, "--log-format %s: must be text or json", f)
	}
}
