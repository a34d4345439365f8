package dptest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/packet"
)

// A story is a text: lines that set the tables, packets, and after each of these, in lines that
// start with =, what the program did. Telling a story runs it and writes those lines anew; it holds
// if they come out as they were.
//
//	# comment                        also ends the layers of a packet
//	include NAME                     another story's lines, without what they told
//	let NAME TEXT                    $NAME stands for TEXT from here on
//	link INDEX IFINDEX MAC           an interface
//	vlan INDEX PARENT ID[.ID]        makes it a VLAN interface of the interface PARENT; with two ids, the outer first (802.1ad)
//	crowd-tags                       takes all room for clients' tags that is left
//	mtu INDEX BYTES                  the largest IP packet that leaves by it
//	snat INDEX ADDRESS
//	announce ADDRESS IFINDEX MAC     an address is answered for at an interface
//	service ID PROTO VIP:PORT NODES [hash] [members IDS] POLICY...   NODES: ids with commas, or -
//	service ID PROTO VIP:PORT COLUMNS leastconn|tickets [members IDS] POLICY...   COLUMNS: OWN or OWN:SHARE:ALIAS
//	     POLICY: drop, stick TTL, slides, tier N, throttle RATE, group N
//	word ID NUMBER                   what service ID points to, whatever it is
//	forget ID                        takes the service's port away
//	node ID PROTO ADDRESS:PORT LINK/MAC|unresolved snat FIRST+COUNT [ports N] [tcp-idle D] [udp-idle D] [max-conns N] [weight N]
//	     [of SERVICE] [generation N] [backup] ACTIONS...
//	actions ID ACTIONS...            of new, dead, reset, stick, deadline, report, none
//	generation ID N                  of a node: stick entries of another one are dead
//	unstick SERVICE CLIENT           takes a stick entry away
//	deadline ID DURATION             the node's flows end so long from now; adds that action
//	hop ID LINK/MAC|unresolved
//	age DURATION                     makes every flow, and all that is known of clients, so much older
//	sweep                            closes what has expired
//	tokens N                         for refusals, on each CPU
//	lock FAMILY BUCKET, unlock FAMILY BUCKET   as another CPU would
//	packet [from IFINDEX] [quietly]  followed by the layers, indented; quietly: tells the reason only
//
// Options of the Bed are lines before all others: `buckets N`, `refuse-rate N`, `no-port-search`.

// Way runs a frame that arrives at an interface, as Bed.Run does.
type Way func(b *Bed, ifindex int, frame []byte) (Verdict, []byte)

// Storyteller tells stories, on a Bed for each set of options.
type Storyteller struct {
	Open func(Options) *Bed // a Bed with these options; it may be one that was used before
	Dir  string             // where include looks
	Run  Way                // what frames run through; nil: the program, on head-room that an earlier frame left dirty
}

// StoryOptions reads the lines that a story's Bed is opened with.
func StoryOptions(text string) (o Options, err error) {
	for _, line := range strings.Split(text, "\n") {
		word, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "buckets":
			_, err = fmt.Sscan(value, &o.Buckets4)
			o.Buckets6 = o.Buckets4
		case "refuse-rate":
			_, err = fmt.Sscan(value, &o.RefuseRate)
		case "no-port-search":
			o.NoPortSearch = true
		}
		if err != nil {
			return o, fmt.Errorf("%s: %w", line, err)
		}
	}
	return o, nil
}

// Tell runs a story and returns it with what happened, and what is wrong whatever the story says: a
// broken invariant, a wrong checksum, a packet that was passed on but changed. The error is for a
// story that cannot be understood.
func (t *Storyteller) Tell(text string) (told string, wrong []string, err error) {
	options, err := StoryOptions(text)
	if err != nil {
		return "", nil, err
	}
	bed := t.Open(options)
	bed.Reset()
	run := &telling{Storyteller: t, bed: bed, names: map[string]string{}, services: map[uint32]Service{}, locks: map[string]bool{}}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 0; i < len(lines); {
		if strings.HasPrefix(lines[i], "=") {
			i++
			continue
		}
		n := 1
		for i+n < len(lines) && strings.HasPrefix(lines[i+n], "\t") {
			n++
		}
		if err := run.step(lines[i : i+n]); err != nil {
			return "", nil, fmt.Errorf("line %d: %q: %w", i+1, lines[i], err)
		}
		i += n
	}
	return run.told.String(), run.wrong, nil
}

// telling is a story being told.
type telling struct {
	*Storyteller
	bed       *Bed
	told      strings.Builder
	wrong     []string
	names     map[string]string // of let
	services  map[uint32]Service
	locks     map[string]bool
	table     map[Tuple]string // as it was told last
	sticks    map[string]string
	budgets   map[string]uint64 // by what they are of
	datagrams []string          // as they were told last
	silent    bool              // in an included story
}

func (t *telling) say(format string, args ...any) {
	if !t.silent {
		fmt.Fprintf(&t.told, "= "+format+"\n", args...)
	}
}

// step takes a line with the indented lines below it.
func (t *telling) step(lines []string) error {
	if !t.silent {
		for _, line := range lines {
			t.told.WriteString(line + "\n")
		}
	}
	line := strings.TrimSpace(lines[0])
	if line == "" || line[0] == '#' {
		return nil
	}
	line = t.expand(line)
	word, rest, _ := strings.Cut(line, " ")
	if word == "packet" {
		return t.packet(strings.Fields(rest), lines[1:])
	}
	if len(lines) > 1 {
		return fmt.Errorf("%s takes no lines below it", word)
	}
	return t.command(word, strings.Fields(rest), rest)
}

func (t *telling) expand(line string) string {
	names := slices.SortedFunc(maps.Keys(t.names), func(a, b string) int { return len(b) - len(a) })
	var pairs []string // the longest first: $client before $c
	for _, name := range names {
		pairs = append(pairs, "$"+name, t.names[name])
	}
	return strings.NewReplacer(pairs...).Replace(line)
}

func (t *telling) include(name string) error {
	text, err := os.ReadFile(filepath.Join(t.Dir, name))
	if err != nil {
		return err
	}
	was := t.silent
	t.silent = true
	defer func() { t.silent = was }()
	for i, line := range strings.Split(string(text), "\n") {
		if err := t.step([]string{line}); err != nil {
			return fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
	}
	return nil
}

func (t *telling) run(ifindex int, frame []byte) (Verdict, []byte) {
	if t.Run == nil {
		return t.bed.Run(ifindex, frame, false)
	}
	return t.Run(t.bed, ifindex, frame)
}

// packet runs a frame and tells all that came of it.
func (t *telling) packet(args []string, layers []string) error {
	ifindex, quiet := Front, false
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "quietly":
			quiet = true
		case args[i] == "from" && i+1 < len(args):
			i++
			if _, err := fmt.Sscan(args[i], &ifindex); err != nil {
				return fmt.Errorf("from %s: %w", args[i], err)
			}
		default:
			return fmt.Errorf("unknown word %s", args[i])
		}
	}
	p, err := packet.Parse(t.expand(strings.Join(layers, "\n")))
	if err != nil {
		return err
	}
	frame, err := p.Encode()
	if err != nil {
		return err
	}
	before := t.bed.Counters()
	verdict, out := t.run(ifindex, frame)
	after := t.bed.Counters()
	reason := after.Reasons.Moved(before.Reasons)
	t.judge(verdict, reason, frame, out)
	if quiet {
		t.say("%s %s", verdict, reason)
		for _, s := range t.bed.Signals() {
			t.say("signal %s", s)
		}
		return nil
	}
	if string(out) == string(frame) {
		t.say("%s %s, untouched", verdict, reason)
	} else {
		t.say("%s %s", verdict, reason)
		t.indent(strings.Split(strings.TrimSuffix(packet.Format(out), "\n"), "\n"))
	}
	for _, line := range after.Moved(before) {
		t.say("%s", line)
	}
	for _, s := range t.bed.Signals() {
		t.say("signal %s", s)
	}
	t.tellTable()
	t.tellClients()
	t.tellFragments()
	return nil
}

func (t *telling) indent(lines []string) {
	for _, line := range lines {
		t.say("\t%s", line)
	}
}

// tellTable tells what changed in the flow table: + a new flow, ~ a changed one, - one that is gone.
func (t *telling) tellTable() {
	table := map[Tuple]string{}
	var lines []string
	for _, flow := range t.bed.Flows() {
		text := flow.String()
		table[flow.In] = text
		switch was, known := t.table[flow.In]; {
		case !known:
			lines = append(lines, "+ "+text)
		case was != text:
			lines = append(lines, "~ "+text)
		}
	}
	for in, text := range t.table {
		if _, still := table[in]; !still {
			lines = append(lines, "- "+text)
		}
	}
	t.table = table
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[2:], b[2:]) })
	for _, line := range lines {
		t.say("flow %s", line)
	}
}

// judge notes what no story may have.
func (t *telling) judge(verdict Verdict, reason string, in, out []byte) {
	for _, fault := range Judge(verdict, reason, in, out) {
		t.wrong = append(t.wrong, fmt.Sprintf("%s %s of\n%s%s", verdict, reason, packet.Format(in), fault))
	}
	if len(t.locks) == 0 {
		for _, fault := range t.bed.Check() {
			t.wrong = append(t.wrong, fmt.Sprintf("after %s %s of\n%s%s", verdict, reason, packet.Format(in), fault))
		}
	}
}

// passedRewritten are the reasons of packets that the kernel gets as they would have been sent.
var passedRewritten = map[string]bool{"hop_unresolved": true, "left_to_fragment": true}

// Judge says what is wrong with an outcome whatever the tables hold: not exactly one known reason,
// a frame changed that the kernel should see as it came, checksums that were right and are no more.
func Judge(verdict Verdict, reason string, in, out []byte) (faults []string) {
	if strings.Contains(reason, " ") {
		faults = append(faults, "counted "+reason+" for one packet")
	}
	if verdict == Aborted {
		faults = append(faults, "the program aborted")
	}
	if (verdict == Pass && !passedRewritten[reason] || verdict == Drop) && string(out) != string(in) {
		faults = append(faults, "changed, although nobody is to see it changed:\n"+packet.Diff(in, out))
	}
	if i := slices.Index(loader.ReasonNames(), reason); i >= 0 && !fits(verdict, loader.ReasonFates()[i]) {
		faults = append(faults, fmt.Sprintf("%s, although packets with reason %s are said to be %s", verdict, reason, loader.ReasonFates()[i]))
	}
	if packet.Verify(in) == nil {
		if err := packet.Verify(out); err != nil {
			faults = append(faults, fmt.Sprintf("wrong checksum in\n%s%v", packet.Format(out), err))
		}
	}
	return faults
}

// fits says whether a verdict is one of a fate.
func fits(verdict Verdict, fate string) bool {
	switch fate {
	case loader.Passed:
		return verdict == Pass
	case loader.Dropped:
		return verdict == Drop
	}
	return verdict == Tx || verdict == Redirect
}
