package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/headgate/headgate/scripts/lab"
)

func TestMain(m *testing.M) {
	lab.Main()
	os.Exit(m.Run())
}

const (
	testPackets = 1 << 12 // few: the rows are looked at here, not the figures
	testEntries = 1 << 21 // of the flow table
)

// endWith takes a bed away when the test ends.
func endWith(t *testing.T, b *bed) {
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
}

// TestPacketsOfEachRowArriveAsTheRowIntends measures every row with few packets: what arrives has the addresses, ports
// and checksums that it should have, and counters and tables say that it went the way that the row is about. A row
// whose packets do not belong to the flows that it says is void.
func TestPacketsOfEachRowArriveAsTheRowIntends(t *testing.T) {
	b, err := open(t.Context(), 0, testEntries)
	if err != nil {
		t.Fatal(err)
	}
	endWith(t, b)
	for _, r := range rows(testPackets, testEntries) {
		r.packets, r.batches, r.flows = testPackets, 1, min(r.flows, testPackets)
		t.Run(r.name, func(t *testing.T) {
			f, err := r.measure(b, 0)
			if errors.Is(err, errLeftOut) {
				t.Log(err) // as the table would say
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if f.rate <= 0 || f.lost > 0.5 {
				t.Errorf("%.0f packets a second, %.0f %% lost", f.rate, 100*f.lost)
			}
		})
	}
	t.Run("void", func(t *testing.T) {
		r := row{subject: headgate, flows: 1000, packets: testPackets}
		if err := r.forget(b); err != nil {
			t.Fatal(err)
		}
		err := r.during(b, packets{following: testPackets}, func() error { // flows that nobody has opened
			_, err := b.send(r.underTest(b), map[int]wireStream{0: b.stream(r, 0, r.flows, testPackets)}, nodePort, false)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "new_flow:1000") {
			t.Errorf("the figure is not void: %v", err)
		}
		if _, err = b.send(r.underTest(b), map[int]wireStream{0: b.stream(r, 0, r.flows, testPackets)}, vipPort, false); err == nil {
			t.Error("frames for another port count as if they were those intended")
		}
	})
}

func TestFramesThatWereRewrittenWronglyAreFound(t *testing.T) {
	l, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{lab: l}
	endWith(t, b)
	if err := errors.Join(b.connect(), b.load()); err != nil {
		t.Fatal(err)
	}
	r := row{subject: plain, flows: 1, packets: 1, cores: 1, batches: 1}
	s, err := b.send(r.underTest(b), map[int]wireStream{0: b.stream(r, 0, 1, 1)}, nodePort, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.arrive.verify(s.frame, b.sinkMAC); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[int]string{0: "MAC address", 25: "IPv4: checksum", 33: "checksum", 37: "checksum", 40: "UDP: checksum"} {
		frame := append([]byte(nil), s.frame...)
		frame[at] ^= 1
		if err := r.arrive.verify(frame, b.sinkMAC); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("byte %d is wrong: %v, want %q", at, err, want)
		}
	}
	elsewhere := r.arrive
	elsewhere.destination = snats
	if err := elsewhere.verify(s.frame, b.sinkMAC); err == nil {
		t.Error("a frame for another address is not found")
	}
}

func TestTableSaysWhatMissesAndWhatIsLeftOut(t *testing.T) {
	table := newTable(rows(testPackets, testEntries))
	for _, r := range table.rows {
		rates := map[string]float64{plainName: 3e6, headgateName: 2e6}
		for _, factor := range []float64{1, 0.5, 2} {
			f, err := figure{rate: max(rates[r.name], 1e6) * factor}, error(nil)
			if r.name == "kernel forwarding" {
				err = fmt.Errorf("%w: no kernel", errLeftOut)
			}
			if err := table.add(r, f, err); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := table.add(table.rows[0], figure{}, errors.New("void")); err == nil {
		t.Error("a void row is a row")
	}
	var out strings.Builder
	table.print(&out)
	for _, want := range []string{
		"Headgate, 60,000 flows                   2.00     1.00     4.00    0.0%    0.67     0.85  misses the target\n",
		"Headgate, all new flows                  1.00     0.50     2.00    0.0%          1.0 M/s\n",
		"kernel forwarding                    left out: no kernel\n",
		"3 rows miss their target.\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in the table:\n%s", want, out.String())
		}
	}
}

func TestRowsAreChosenWithThoseTheyAreComparedWith(t *testing.T) {
	var names []string
	for _, r := range chosen(rows(testPackets, testEntries), "two cores") {
		names = append(names, r.name)
	}
	want := "plain stateless NAT, XDP; Headgate, 60,000 flows; plain stateless NAT, two cores; Headgate, 60,000 flows, two cores"
	if got := strings.Join(names, "; "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
