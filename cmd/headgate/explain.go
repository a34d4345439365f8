package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
)

func explainCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "explain",
		Usage: "what would become of a packet, and why",
		UsageText: text("explain --proto P --src A[:PORT] --dst VIP[:PORT] [--flags F] [--interface IF] [-o table|json|yaml]\n   headgate explain --hex BYTES | --pcap FILE [--number N]",
			"headgate explain --proto tcp --src 198.51.100.7:40000 --dst 203.0.113.10:80",
			"headgate explain --proto tcp --src 198.51.100.7:40000 --dst 203.0.113.10:80 --flags ack",
			"headgate explain --proto udp --src 192.0.2.11:53 --dst 192.0.2.1:1536",
			"headgate explain --proto icmp --src 198.51.100.7 --dst 203.0.113.10",
			"tcpdump -i eth0 -c 1 -w - tcp port 80 | headgate explain --pcap -"),
		Description: "One packet is run through the program that the data path runs, with its live tables, and leaves no\n" +
			"trace there: no flow, no count, no turn of round robin. The packet is described by flags, or given whole,\n" +
			"from its Ethernet header on, as hexadecimal digits or from a recording. It works without a daemon, too.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "proto", Value: "tcp", Usage: "`P`: tcp, udp or icmp (a ping)"},
			&cli.StringFlag{Name: "src", Usage: "`ADDRESS:PORT` that it comes from"},
			&cli.StringFlag{Name: "dst", Usage: "`ADDRESS:PORT` that it goes to"},
			&cli.StringFlag{Name: "flags", Value: "syn", Usage: "of TCP, with commas: `F` of " + strings.Join(flagWords, ", ")},
			&cli.IntFlag{Name: "ttl", Value: 64, Usage: "`N`, the hop limit of IPv6"},
			&cli.IntFlag{Name: "payload", Usage: "`N` bytes behind the headers"},
			&cli.StringFlag{Name: "fragment", Usage: "it is the `first` or a `later` fragment of such a packet"},
			&cli.BoolFlag{DisableDefaultText: true, Name: "error", Usage: "it is the ICMP error that a packet of the other direction is too large"},
			&cli.StringFlag{Name: "hex", Usage: "the frame as `BYTES`; - is the standard input"},
			&cli.StringFlag{Name: "pcap", Usage: "the frame from `FILE`, pcap or pcapng; - is the standard input"},
			&cli.IntFlag{Name: "number", Value: 1, Usage: "`N`-th packet of --pcap"},
			&cli.StringFlag{Name: "interface", DefaultText: "the first", Usage: "`IF` that it comes in by"},
			outputFlag(),
		},
		Action: func(c *cli.Context) error { return explain(c, e) },
	}
}

func explain(c *cli.Context, e env) error {
	if err := noArgs(c); err != nil {
		return err
	}
	frame, err := askedFrame(c, e)
	if err != nil {
		return err
	}
	return show(c, e, func(l api.Look, form string) error {
		story, err := l.Explain(c.Context, api.Question{Frame: frame, Interface: c.String("interface")})
		if err != nil {
			return err
		}
		return printAs(e.stdout, form, story, func(w io.Writer) error { return printStory(w, story) })
	})
}

// printStory writes a line for each sentence.
func printStory(w io.Writer, story api.Story) error {
	wide := 0
	for _, s := range story.Steps {
		wide = max(wide, len(s.Stage))
	}
	for _, s := range story.Steps {
		if _, err := fmt.Fprintf(w, "%-*s  %s\n", wide, s.Stage, s.Text); err != nil {
			return err
		}
	}
	return nil
}
