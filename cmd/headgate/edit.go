package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
)

// verbs are the commands that change a noun.
func (n noun) verbs(e env) []*cli.Command {
	return []*cli.Command{
		{
			Name:      "add",
			Usage:     fmt.Sprintf("add a %s", n.kind),
			UsageText: text(n.synopsis("add", "[--KEY VALUE …] [--dry-run] [--wait]"), n.examples["add"]...),
			Flags:     slices.Concat(n.flags(true, n.named...), changeFlags()),
			Action:    func(c *cli.Context) error { return n.change(c, e, api.Add) },
		},
		{
			Name:        "set",
			Usage:       n.set,
			UsageText:   text(n.synopsis("set", "--KEY VALUE … [--dry-run] [--wait]"), n.examples["set"]...),
			Description: settingIsByHand,
			Flags:       slices.Concat(n.flags(false, n.fixed()...), n.more, changeFlags()),
			Action:      func(c *cli.Context) error { return n.change(c, e, api.Change) },
		},
		{
			Name:        "remove",
			Usage:       fmt.Sprintf("remove a %s", n.kind),
			UsageText:   text(n.synopsis("remove", "[--yes] [--dry-run] [--wait]"), n.examples["remove"]...),
			Description: n.removal() + " It asks first on a terminal.",
			Flags:       slices.Concat([]cli.Flag{yesFlag()}, n.more, changeFlags()),
			Action:      func(c *cli.Context) error { return n.change(c, e, api.Remove) },
		},
	}
}

const settingIsByHand = "Established connections stay with their nodes (for nodes that are DOWN, see --on-down of config set).\n" +
	"What is set lasts until the file is applied again (at start, on SIGHUP, by apply) and says otherwise.\n" +
	"The value " + byDefault + " sets the default again."

// removal is what a removal does to clients.
func (n noun) removal() string {
	what := "New clients lose service from then on"
	if n.kind == api.KindNode {
		what = "New flows go elsewhere from then on"
	}
	return what + "; established ones go on, for remove_deadline at most."
}

func (n noun) synopsis(verb, options string) string {
	return fmt.Sprintf("%s %s %s %s", n.kind, verb, strings.ToUpper(string(n.kind)), options)
}

// fixed are the keys that never change: a config at another port is another config.
func (n noun) fixed() []string {
	if n.kind == api.KindConfig {
		return n.named
	}
	return nil
}

func changeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{DisableDefaultText: true, Name: "dry-run", Usage: "only print what would change, and what that does to traffic"},
		&cli.BoolFlag{DisableDefaultText: true, Name: "wait", Usage: "return once the data path runs it (or fail after 5 s)"},
		outputFlag(),
	}
}

func yesFlag() cli.Flag {
	return &cli.BoolFlag{DisableDefaultText: true, Name: "yes", Aliases: []string{"y"}, Usage: "don't ask"}
}

// change adds, sets or removes the thing that the argument names.
func (n noun) change(c *cli.Context, e env, action string) error {
	name, err := oneArg(c, n.what())
	if err != nil {
		return err
	}
	form, err := format(c)
	if err != nil {
		return err
	}
	until, err := drainOf(c)
	if err != nil {
		return err
	}
	values, err := n.values(c)
	if err != nil {
		return err
	}
	if action == api.Change && len(values) == 0 && until == nil {
		return usage(c, "%s needs something to set, as %s", commandName(c), n.some(c))
	}
	client := api.NewClient(c.String("socket"))
	edit := api.Edit{Action: action, Kind: n.kind, Name: name, Values: values, DryRun: c.Bool("dry-run")}
	if action == api.Remove && !edit.DryRun {
		if err := n.agreed(c, e, client, edit); err != nil {
			return err
		}
	}
	if until != nil {
		if err := until.look(c.Context, client, name); err != nil {
			return err
		}
	}
	res, err := client.Edit(c.Context, edit)
	if err != nil {
		return err
	}
	if edit.DryRun {
		return printAs(e.stdout, form, res, func(w io.Writer) error { return printApplied(w, res) })
	}
	if c.Bool("wait") || until != nil {
		if err := client.WaitApplied(c.Context, res.Desired); err != nil {
			return err
		}
		res.Applied = res.Desired
	}
	if until != nil {
		return until.wait(c.Context, e, client)
	}
	return printAs(e.stdout, form, res, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s: %s (%s)\n", name, n.did(action, values)+n.given(action, values, res.Plan), reached(res.Generations))
		return err
	})
}

// did says what was done.
func (n noun) did(action string, values api.Values) string {
	switch said := n.said(values); {
	case action == api.Remove:
		return "removed"
	case action == api.Change:
		return said
	case said == "":
		return "added"
	default:
		return "added, " + said
	}
}

// given says what the daemon has chosen where nothing was said: the addresses of a new balancer.
func (n noun) given(action string, values api.Values, p api.Plan) string {
	_, v4 := values["ipv4"]
	_, v6 := values["ipv6"]
	if n.kind != api.KindBalancer || action != api.Add || v4 || v6 || len(p.Steps) == 0 {
		return ""
	}
	return ", with the " + strings.Join(p.Steps[0].Changes, ", ")
}

// agreed asks whether to remove, and says what that does to clients and what goes with it.
func (n noun) agreed(c *cli.Context, e env, client *api.Client, edit api.Edit) error {
	if c.Bool("yes") {
		return nil
	}
	if !e.terminal {
		return fmt.Errorf("%s: say --yes where nobody can be asked", commandName(c))
	}
	edit.DryRun = true
	res, err := client.Edit(c.Context, edit)
	if err != nil {
		return err
	}
	question := "Remove the " + string(n.kind) + " " + edit.Name
	for _, kind := range []api.Kind{api.KindConfig, api.KindNode} {
		count := 0
		for _, s := range res.Plan.Steps {
			if s.Kind == kind && kind != n.kind {
				count++
			}
		}
		if count > 0 {
			question += ", with " + plural(count, string(kind))
		}
	}
	printConsequences(e.stderr, res.Plan)
	return confirmed(c, e, question+"?")
}

// confirmed asks a question on the terminal; anything but a yes is an error.
func confirmed(c *cli.Context, e env, question string) error {
	fmt.Fprintf(e.stderr, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(e.stdin).ReadString('\n') // an answer cut short is a no
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return errors.New(commandName(c) + ": nothing was changed")
	}
	return nil
}

// reached says how far a change has come.
func reached(g api.Generations) string {
	if g.Applied >= g.Desired {
		return fmt.Sprintf("generation %d, applied", g.Desired)
	}
	return fmt.Sprintf("generation %d, applied %d: --wait waits for it", g.Desired, g.Applied)
}

// some names a few of the flags that set something.
func (n *noun) some(c *cli.Context) string {
	var flags []string
	for _, s := range n.settings {
		if slices.ContainsFunc(c.Command.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), s.flag) }) {
			flags = append(flags, "--"+s.flag)
		}
	}
	const few = 5
	if len(flags) > few {
		return strings.Join(flags[:few], ", ") + " …"
	}
	return strings.Join(flags, ", ")
}
