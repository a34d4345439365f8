package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/lb"
)

// noun is a kind of thing that commands add, set and remove.
type noun struct {
	kind     api.Kind
	form     string   // of its name, as in BALANCER/PORT
	named    []string // keys that are in its name
	settings []setting
	examples map[string][]string // by verb
	set      string              // what set does, in a line of help
	more     []cli.Flag          // of set and remove
}

// what is how errors and help call the argument.
func (n noun) what() string { return "the " + string(n.kind) + " as " + n.form }

// setting is a key of the file as a flag.
type setting struct {
	key, flag, usage string
	words            []string // that its value may be; nil: other values, too
	def              string   // its default; empty: none
	named            bool
	check            func(text string) error // what is wrong with a value
}

// settingsOf makes flags of the fields of a T; fresh makes one with its defaults.
func settingsOf[T any](fields []lb.Field[T], fresh func() *T) []setting {
	out := make([]setting, len(fields))
	for i := range fields {
		f := &fields[i]
		out[i] = setting{
			key: f.Key, flag: strings.ReplaceAll(f.Key, "_", "-"), usage: f.What, words: f.Words, named: f.Named,
			check: func(text string) error { return f.Set(fresh(), text) },
		}
		if len(f.Words) > 0 {
			out[i].usage += ": " + strings.Join(f.Words, ", ")
		}
		if !f.Named {
			out[i].def = f.Get(fresh())
		}
	}
	return out
}

// byDefault is what stands for the default where a value is expected.
const byDefault = "default"

// flags are those of all settings but some.
func (n noun) flags(defaults bool, without ...string) []cli.Flag {
	var flags []cli.Flag
	for _, s := range n.settings {
		if slices.Contains(without, s.key) {
			continue
		}
		f := &cli.StringFlag{Name: s.flag, Usage: s.usage, Category: "settings"}
		if defaults {
			f.DefaultText = s.def
		}
		flags = append(flags, f)
	}
	return flags
}

// values are the settings that flags name. What is wrong in itself is wrong usage, before anybody is asked.
func (n noun) values(c *cli.Context) (api.Values, error) {
	values := api.Values{}
	for _, s := range n.settings {
		if !c.IsSet(s.flag) {
			continue
		}
		text := c.String(s.flag)
		if text == byDefault && !s.named {
			values[s.key] = nil
			continue
		}
		if err := s.check(text); err != nil {
			return nil, usage(c, "--%s %s: %v", s.flag, text, err)
		}
		values[s.key] = &text
	}
	return values, nil
}

// said are values in words, in the order of the file.
func (n noun) said(values api.Values) string {
	var words []string
	for _, s := range n.settings {
		switch value, given := values[s.key]; {
		case !given:
		case value == nil:
			words = append(words, s.key+" "+byDefault)
		default:
			words = append(words, fmt.Sprintf("%s %s", s.key, *value))
		}
	}
	return strings.Join(words, ", ")
}
