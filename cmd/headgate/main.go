// Command headgate runs and looks after the load balancer: `headgate run` is the daemon, all else
// talks to it over its socket or, when it is dead, reads the pinned maps.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/pkg/config"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// socketVariable names the daemon's socket where no flag does.
const socketVariable = "HEADGATE_SOCKET"

// env is the world of a command, so that tests can call commands in process.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal       bool             // stdin is one: questions can be asked
	hangups        <-chan os.Signal // SIGHUP: read the file again
	endOnHangup    func()           // SIGHUP ends the command from now on, as it does by default; may be nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	hangups := make(chan os.Signal, 1)
	// Caught from the first instruction on, since the default would end a daemon that is starting.
	signal.Notify(hangups, syscall.SIGHUP)
	e := env{
		stdin: os.Stdin, stdout: output(os.Stdout), stderr: os.Stderr, terminal: isTerminal(os.Stdin),
		hangups: hangups, endOnHangup: func() { signal.Reset(syscall.SIGHUP) },
	}
	os.Exit(run(ctx, e, os.Args[1:]))
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// run runs one command and returns its exit code.
func run(ctx context.Context, e env, args []string) int {
	app := newApp(e)
	if len(args) > 1 && args[0] == asked {
		if err := answer(e.stdout, app, args[1:]); err != nil {
			return exitFailed
		}
		return exitDone
	}
	args, err := arrange(app, args)
	if err == nil {
		err = app.RunContext(ctx, append([]string{app.Name}, args...))
	}
	var usage *usageError
	var faults config.Faults
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		fmt.Fprintf(e.stderr, "headgate: %v (see `headgate %s`)\n", err, strings.TrimSpace(usage.command+" --help"))
		return exitUsage
	case errors.As(err, &faults):
		for _, f := range faults {
			fmt.Fprintln(e.stderr, f)
		}
	default:
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintf(e.stderr, "headgate: %s\n", line)
		}
	}
	return exitFailed
}

func newApp(e env) *cli.App {
	app := &cli.App{
		Name:           "headgate",
		Usage:          "an XDP load balancer",
		UsageText:      "headgate [--socket PATH] [--bpffs DIR] COMMAND\n\nExample:\n   headgate validate headgate.yaml && sudo headgate run -c headgate.yaml",
		HideVersion:    true,
		Writer:         e.stdout,
		ErrWriter:      e.stderr,
		ExitErrHandler: func(*cli.Context, error) {}, // run prints, and returns the code
		OnUsageError:   onUsageError,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "socket", Value: config.DefaultSocket, EnvVars: variable(socketVariable), Usage: "`PATH` of the daemon's socket"},
			&cli.StringFlag{Name: "bpffs", Value: config.DefaultBPFFS, EnvVars: variable("HEADGATE_BPFFS"), Usage: "`DIR` of the pinned maps, read when no daemon answers"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "version", Aliases: []string{"v"}, Usage: "print what the command version prints"},
		},
		Before: func(c *cli.Context) error {
			// A command that waits must not outlive the terminal that it was called from.
			if c.Args().First() != "run" && e.endOnHangup != nil {
				e.endOnHangup()
			}
			if c.Bool("version") && c.Args().Present() {
				return usage(c, "--version stands alone (got %q)", c.Args().First())
			}
			return nil
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usage(c, "no command %q", c.Args().First())
			}
			if c.Bool("version") {
				return printBuild(e.stdout, readBuild(c))
			}
			return cli.ShowAppHelp(c)
		},
		Commands: []*cli.Command{
			runCommand(e),
			validateCommand(e),
			applyCommand(e),
			exportCommand(e),
			statusCommand(e),
			topCommand(e),
			balancerCommand(e),
			configCommand(e),
			nodeCommand(e),
			flowsCommand(e),
			stickyCommand(e),
			healthCommand(e),
			eventsCommand(e),
			explainCommand(e),
			captureCommand(e),
			mapsCommand(e),
			detachCommand(e),
			completionCommand(e),
			versionCommand(e),
			manCommand(e),
		},
	}
	finish(app.Commands)
	return app
}

// variable names what gives a flag its value where the command line does not. One that is set to nothing is as good
// as unset: the library would take that for the value.
func variable(name string) []string {
	if value, set := os.LookupEnv(name); set && value == "" {
		return nil
	}
	return []string{name}
}

// finish gives every command what all of them share.
func finish(commands []*cli.Command) {
	for _, c := range commands {
		c.OnUsageError = onUsageError
		c.HideHelpCommand = true
		if c.Action == nil {
			c.Action = needsSubcommand
		}
		finish(c.Subcommands)
	}
}

func needsSubcommand(c *cli.Context) error {
	if c.Args().Present() {
		return usage(c, "%s has no command %q", c.Command.Name, c.Args().First())
	}
	return cli.ShowSubcommandHelp(c)
}
