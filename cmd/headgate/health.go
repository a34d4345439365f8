package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
)

func healthCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "health",
		Usage: "what the checks of nodes found, and why a node takes new flows or not",
		UsageText: text("health [CONFIG|NODE] [-o table|json|yaml]",
			"headgate health", "headgate health web/80", "headgate health web/80/web-1"),
		Description: "Of one node it shows the last 64 results. In lists RESULTS are the last of them, the latest on the right:\n" +
			"+ a success, - a failure. NEW says whether the node takes new flows, WHY what is wrong with it, or else why it does or not.",
		Flags:  []cli.Flag{outputFlag()},
		Action: func(c *cli.Context) error { return showHealth(c, e) },
	}
}

func showHealth(c *cli.Context, e env) error {
	if c.NArg() > 1 {
		return usage(c, "health takes at most one argument, a config or a node (got %d)", c.NArg())
	}
	form, err := format(c)
	if err != nil {
		return err
	}
	var q api.HealthQuery
	if name := c.Args().First(); name != "" {
		if _, err := lb.ParseConfigKey(name); err == nil {
			q.Config = name
		} else {
			q.Node = name
		}
	}
	list, err := api.NewClient(c.String("socket")).Health(c.Context, q)
	if err != nil {
		return err
	}
	return printAs(e.stdout, form, list, func(w io.Writer) error {
		if q.Node != "" && len(list) == 1 {
			return printHealth(w, list[0], time.Now())
		}
		return writeTable(w, "", healthColumns, healthRows(list, time.Now()))
	})
}

var healthColumns = columns("NODE", "HEALTH", ">SINCE", "CHECK", ">LAST", ">TOOK", "RESULTS", "NEW", "~WHY")

func healthRows(list []api.NodeHealth, now time.Time) [][]string {
	rows := make([][]string, len(list))
	for i, n := range list {
		rows[i] = []string{
			n.Name, healthOf(n.Node), past(now, n.Since), checkOf(n), past(now, n.CheckedAt), took(n.DurationMS), n.Recent, "no", whyHealth(n),
		}
		if n.TakesNew {
			rows[i][len(rows[i])-2] = "yes"
		}
	}
	return rows
}

// past is how long ago a moment was, or "-".
func past(now time.Time, t *time.Time) string {
	if t == nil {
		return "-"
	}
	return span(now.Sub(*t))
}

func took(ms *float64) string {
	if ms == nil {
		return "-"
	}
	d := time.Duration(*ms * float64(time.Millisecond))
	switch {
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

// checkOf is how a node is checked.
func checkOf(n api.NodeHealth) string {
	if n.Mode == "reject" || n.Check == string(lb.CheckNone) {
		return "none"
	}
	return n.Check
}

// whyHealth says what the checks found wrong, or else why the node takes new flows or not.
func whyHealth(n api.NodeHealth) string {
	if n.Reason != "" && n.Reason != admin {
		return n.Reason
	}
	_, why, _ := strings.Cut(newFlows(n.Node), ": ")
	return why
}

// printHealth writes all there is about the health of one node.
func printHealth(w io.Writer, n api.NodeHealth, now time.Time) error {
	since := ""
	if n.Since != nil {
		since = ", since " + span(now.Sub(*n.Since))
	}
	lines := [][2]string{
		{"node", n.Name},
		{"address", n.Address},
		{"mode", n.Mode},
		{"health", with(n.Health, n.Reason) + since},
		{"override", cmp.Or(n.Override, "none")},
		{"new flows", newFlows(n.Node)},
		{"check", checkInWords(n)},
		{"results", lastResults(n, now)},
	}
	if n.Passive != nil {
		lines = append(lines, [2]string{"failed", connections(n.Passive, now)})
		if out := ejection(n.Passive, now); out != "" {
			lines = append(lines, [2]string{"ejected", out})
		}
	}
	err := writeLines(w, lines)
	if err != nil || len(n.History) == 0 {
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	rows := make([][]string, len(n.History))
	for i, r := range n.History {
		result := "success"
		if !r.OK {
			result = r.Reason
		}
		rows[i] = []string{r.At.Local().Format(eventTime), took(&r.DurationMS), result}
	}
	return writeTable(w, "", columns("TIME", ">TOOK", "~RESULT"), rows)
}

func checkInWords(n api.NodeHealth) string {
	switch {
	case n.Mode == "reject":
		return "none in mode reject"
	case n.Check == string(lb.CheckNone):
		return "none"
	}
	return fmt.Sprintf("%s, every %s", n.Check, lb.FormatDuration(time.Duration(n.IntervalMS)*time.Millisecond))
}

// lastResults says what the last results in a row were.
func lastResults(n api.NodeHealth, now time.Time) string {
	if n.CheckedAt == nil {
		return "none"
	}
	row := ""
	switch {
	case n.Streak == 0:
		return "none since the daemon started"
	case n.Streak == 1:
		row = "a success"
	case n.Streak == -1:
		row = "a failure"
	case n.Streak > 0:
		row = fmt.Sprintf("%d successes in a row", n.Streak)
	default:
		row = fmt.Sprintf("%d failures in a row", -n.Streak)
	}
	return fmt.Sprintf("%s, the last %s", row, ago(now.Sub(*n.CheckedAt)))
}

// connections says what the data path saw of those that clients opened.
func connections(p *api.Passive, now time.Time) string {
	if p.Refused+p.Unanswered+p.Unreachable == 0 {
		return "no connection"
	}
	text := fmt.Sprintf("%d refused, %d unanswered, %d not reached; ", p.Refused, p.Unanswered, p.Unreachable)
	if p.InARow == 0 {
		text += "none since it took one"
	} else {
		text += fmt.Sprintf("%d in a row", p.InARow)
	}
	if p.LastAt != nil {
		text += fmt.Sprintf(", the last %s (%s)", ago(now.Sub(*p.LastAt)), p.Last)
	}
	return text
}

// ejection says whether a node is out because connections fail; empty when there is nothing to say.
func ejection(p *api.Passive, now time.Time) string {
	switch {
	case p.Spared:
		return "no: it fails connections, but no more than half may be out for that"
	case p.Ejected == nil:
		return ""
	}
	text := fmt.Sprintf("for %s more", span(max(0, p.Ejected.Until.Sub(now))))
	if p.Ejected.Times > 1 {
		text += fmt.Sprintf(", %d times in a row now", p.Ejected.Times)
	}
	return text
}
