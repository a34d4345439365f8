package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/config"
	"github.com/headgate/headgate/pkg/lb"
)

func applyCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "apply",
		Usage: "make the daemon's balancers match a file's",
		UsageText: text("apply -f FILE [--dry-run] [--prune] [--wait]",
			"headgate apply -f headgate.yaml --dry-run", "headgate export | sed s/drain/accept/ | headgate apply -f - --wait"),
		Description: "What the file declares wins in the balancers that it names; balancers that it does not name\n" +
			"stay, unless --prune. Its other settings count when the daemon starts. A file with a fault\n" +
			"changes nothing.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "`FILE` to apply; - is the standard input"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "dry-run", Usage: "only print what would change, what share of clients would move, and who would lose service"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "prune", Usage: "remove the balancers that the file does not name"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "wait", Usage: "return once the data path runs it (or fail after 5 s)"},
			outputFlag(),
		},
		Action: func(c *cli.Context) error { return apply(c, e) },
	}
}

func apply(c *cli.Context, e env) error {
	if err := noArgs(c); err != nil {
		return err
	}
	form, err := format(c)
	if err != nil {
		return err
	}
	req := api.ApplyRequest{Name: c.String("file"), Prune: c.Bool("prune"), DryRun: c.Bool("dry-run"), Wait: c.Bool("wait")}
	switch req.Name {
	case "":
		return usage(c, "apply needs a file: -f FILE")
	case "-":
		req.Name = standardInput
		req.Data, err = io.ReadAll(e.stdin)
	default:
		req.Data, err = os.ReadFile(req.Name)
	}
	if err != nil {
		return err
	}
	// Here, so that faults read as they do in validate, also when no daemon runs.
	if _, err := config.Parse(req.Name, req.Data); err != nil {
		return err
	}
	res, err := api.NewClient(c.String("socket")).Apply(c.Context, req)
	if err != nil {
		return err
	}
	return printAs(e.stdout, form, res, func(w io.Writer) error { return printApplied(w, res) })
}

func printApplied(w io.Writer, res api.ApplyResult) error {
	rows := make([][]string, len(res.Plan.Steps))
	for i, s := range res.Plan.Steps {
		rows[i] = []string{s.Action, string(s.Kind), s.Name, strings.Join(s.Changes, ", ")}
	}
	if len(rows) > 0 {
		if err := writeTable(w, "", columns("ACTION", "KIND", "NAME", "~WHAT"), rows); err != nil {
			return err
		}
	}
	printConsequences(w, res.Plan)
	switch {
	case res.Plan.Empty():
		fmt.Fprintf(w, "nothing to change (generation %d)\n", res.Desired)
	case res.DryRun:
		fmt.Fprintf(w, "%s; nothing was changed\n", plural(len(rows), "step"))
	default:
		fmt.Fprintf(w, "%s; generation %d, the data path runs %d\n", plural(len(rows), "step"), res.Desired, res.Applied)
	}
	return nil
}

// printConsequences says what a plan does to clients.
func printConsequences(w io.Writer, p api.Plan) {
	for _, f := range p.Flows {
		fmt.Fprintln(w, goOn(f))
	}
	for _, m := range p.Moves {
		for _, vip := range m.Unserved {
			fmt.Fprintf(w, "%s: clients of %s lose service: new connections are left to the kernel\n", m.Config, vip)
		}
		if len(m.Unserved) == 0 || m.Refused {
			fmt.Fprintf(w, "%s: %s; established connections stay\n", m.Config, whatMoves(m))
		}
		if m.Down > 0 {
			fmt.Fprintf(w, "%s: %s found DOWN, and not counted on\n", m.Config, plural(m.Down, "node"))
		}
	}
}

// goOn says what becomes of flows that are there.
func goOn(f api.NodeFlows) string {
	what := f.Why
	if f.Nodes > 1 {
		what = fmt.Sprintf("%d nodes, %s", f.Nodes, f.Why)
	}
	until := "go on to their end"
	switch {
	case f.Reset:
		until = "are reset"
	case f.DeadlineMS != nil:
		until = fmt.Sprintf("go on, for %s at most, and are ended then", lb.FormatDuration(time.Duration(*f.DeadlineMS)*time.Millisecond))
	}
	return fmt.Sprintf("%s (%s): %s active now, which %s", f.Name, what, plural(int(f.Flows), "flow"), until)
}

// whatMoves is whom a share of is told: where the client's address chooses, clients have a node of their own; else
// there are only more of some nodes' new connections and fewer of others'.
func whatMoves(m api.ConfigMove) string {
	who := "new connections"
	switch {
	case m.Refused:
		return "no node is left for new connections: they are refused"
	case m.ByClient:
		who = "clients, with their next connection,"
	}
	return fmt.Sprintf("%.1f %% of %s get another node, or none", 100*m.Share, who)
}

func exportCommand(e env) *cli.Command {
	return &cli.Command{
		Name:        "export",
		Usage:       "print the daemon's balancers as a file that apply takes",
		UsageText:   text("export", "headgate export > balancers.yaml"),
		Description: "What was changed by hand is in it; defaults are left out.",
		Action: func(c *cli.Context) error {
			if err := noArgs(c); err != nil {
				return err
			}
			data, err := api.NewClient(c.String("socket")).Export(c.Context)
			if err != nil {
				return err
			}
			_, err = e.stdout.Write(data)
			return err
		},
	}
}
