package announce

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headgate/headgate/pkg/packet"
)

const (
	v4 = "203.0.113.10"
	v6 = "2001:db8::10"
)

// on runs a test with a network, in a time of its own.
func on(t *testing.T, test func(t *testing.T, l *lan)) {
	synctest.Test(t, func(t *testing.T) { test(t, &lan{}) })
}

// rest lets time pass, and everybody come to an end with what they do.
func rest(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func count(frames []string, word string) (n int) {
	for _, f := range frames {
		if strings.Contains(f, word) {
			n++
		}
	}
	return n
}

func TestAFreeAddressIsProbedHeldAndAnnounced(t *testing.T) {
	on(t, func(t *testing.T, l *lan) {
		h := l.host(t, 1)
		h.wants(true, v4, v6)
		if h.holds(v4) || h.holds(v6) {
			t.Error("held before it is known to be free")
		}
		rest(probes * probeEvery)
		if !h.holds(v4) || !h.holds(v6) || !slices.Equal(h.whats(), []What{Held, Held}) {
			t.Errorf("not held after %v", probes*probeEvery)
		}
		select {
		case <-h.Changes():
		default:
			t.Error("nobody was told of the change")
		}
		rest(time.Minute)
		frames := l.frames()
		for word, want := range map[string]int{
			"arp request 0.0.0.0 02:00:00:00:00:01 > 203.0.113.10 00:00:00:00:00:00":                                                                    probes,
			"arp request 203.0.113.10 02:00:00:00:00:01 > 203.0.113.10 00:00:00:00:00:00":                                                               announcements,
			"ipv6 :: > ff02::1:ff00:10 hop 255\nicmp6 neighbour-solicitation\nneighbour 2001:db8::10\n":                                                 probes,
			"ipv6 2001:db8::10 > ff02::1 hop 255\nicmp6 neighbour-advertisement rest 0x20000000\nneighbour 2001:db8::10 target-mac 02:00:00:00:00:01\n": announcements,
		} {
			if got := count(frames, word); got != want {
				t.Errorf("%d frames %q, want %d", got, word, want)
			}
		}
		if len(frames) != 2*(probes+announcements) {
			t.Errorf("%d frames: %q", len(frames), frames)
		}
		if !slices.Equal(h.joined(), []netip.Addr{packet.SolicitedNode(netip.MustParseAddr(v6))}) {
			t.Errorf("groups: %v", h.joined())
		}
		h.wants(true)
		if h.holds(v4) || h.holds(v6) || len(h.joined()) > 0 {
			t.Error("what is no longer wanted is still held")
		}
	})
}

// TestAnAddressInUseIsLeftUntilItIsFree has a second host want what the first holds; then the first dies.
func TestAnAddressInUseIsLeftUntilItIsFree(t *testing.T) {
	for _, vip := range []string{v4, v6} {
		on(t, func(t *testing.T, l *lan) {
			first, second := l.host(t, 1), l.host(t, 2)
			first.wants(true, vip)
			rest(time.Minute)
			second.wants(true, vip)
			rest(time.Hour)
			if !first.holds(vip) || second.holds(vip) {
				t.Errorf("%s: held by the first: %v, by the second: %v", vip, first.holds(vip), second.holds(vip))
			}
			if got := second.whats(); !slices.Equal(got, []What{Left}) {
				t.Errorf("%s: reported again and again: %v", vip, got)
			}
			if got := first.whats(); !slices.Equal(got, []What{Held}) {
				t.Errorf("%s: a probe is no conflict: %v", vip, got)
			}
			if w := second.Warnings(); len(w) != 1 || !strings.Contains(w[0], vip+" is not announced on eth0: 02:00:00:00:00:01 uses it") {
				t.Errorf("%s: warnings %q", vip, w)
			}
			first.dead.Store(true)
			rest(2 * retryAfter)
			if !second.holds(vip) || len(second.Warnings()) > 0 {
				t.Errorf("%s: free, but not held: %q", vip, second.Warnings())
			}
		})
	}
}

// TestAHeldAddressIsDefendedOnceAndThenLeft is RFC 5227, 2.4 (b).
func TestAHeldAddressIsDefendedOnceAndThenLeft(t *testing.T) {
	for _, vip := range []string{v4, v6} {
		on(t, func(t *testing.T, l *lan) {
			h := l.host(t, 1)
			h.wants(true, vip)
			rest(time.Minute)
			h.whats()
			l.frames()
			other := Address{Addr: netip.MustParseAddr(vip), MAC: [6]byte{2, 0, 0, 0, 0, 9}}
			intrude := func() { frame, _ := announcement(other).Encode(); l.send(nil, frame) }

			intrude()
			if got := h.whats(); !slices.Equal(got, []What{Defended}) || !h.holds(vip) {
				t.Errorf("%s: %v, held %v", vip, got, h.holds(vip))
			}
			if got := l.frames(); len(got) != 2 || !strings.Contains(got[1], "02:00:00:00:00:01") {
				t.Errorf("%s: not defended: %q", vip, got)
			}
			rest(defendInterval)
			intrude() // much later: defended again
			if got := h.whats(); !slices.Equal(got, []What{Defended}) || !h.holds(vip) {
				t.Errorf("%s: later: %v, held %v", vip, got, h.holds(vip))
			}
			rest(defendInterval - time.Second)
			intrude()
			if got := h.whats(); !slices.Equal(got, []What{Left}) || h.holds(vip) || len(h.joined()) > 0 {
				t.Errorf("%s: soon again: %v, held %v, groups %v", vip, got, h.holds(vip), h.joined())
			}
			rest(2 * retryAfter)
			if !h.holds(vip) {
				t.Errorf("%s: not taken back when the other was silent", vip)
			}
		})
	}
}

func TestTwoThatWantItAtOnceEndWithOneHolder(t *testing.T) {
	on(t, func(t *testing.T, l *lan) {
		a, b := l.host(t, 1), l.host(t, 2)
		a.wants(true, v4)
		b.wants(true, v4)
		rest(5 * time.Minute)
		if a.holds(v4) == b.holds(v4) {
			t.Errorf("held by both, or nobody: %v", a.holds(v4))
		}
	})
}

func TestWhatIsAnsweredForAlreadyIsNotProbed(t *testing.T) {
	on(t, func(t *testing.T, l *lan) {
		h := l.host(t, 1)
		a := h.address(v4, true)
		a.Answer = true
		h.Set([]Address{a}, nil)
		synctest.Wait()
		if frames := l.frames(); !h.holds(v4) || count(frames, "arp request 203.0.113.10") != 1 || len(frames) != 1 {
			t.Errorf("held: %v, frames %q", h.holds(v4), frames)
		}
	})
}

func TestALinkThatComesUpOrChangesIsToldAnew(t *testing.T) {
	on(t, func(t *testing.T, l *lan) {
		h := l.host(t, 1)
		h.wants(false, v6)
		rest(time.Minute)
		if frames := l.frames(); len(frames) > 0 || h.holds(v6) {
			t.Errorf("on a link that is down: %q", frames)
		}
		h.wants(true, v6)
		rest(time.Minute)
		l.frames()
		h.wants(false, v6)
		h.forget() // as the kernel does
		rest(time.Minute)
		if !h.holds(v6) {
			t.Error("what is held stays so while the link is down")
		}
		h.wants(true, v6)
		rest(time.Minute)
		if frames := l.frames(); count(frames, "advertisement") != announcements || len(frames) != announcements || len(h.joined()) != 1 {
			t.Errorf("up again: %q, groups %v", frames, h.joined())
		}
		other := h.address(v6, true)
		other.MAC = [6]byte{2, 0, 0, 0, 0, 7}
		h.Set([]Address{other}, [][6]byte{other.MAC})
		rest(time.Minute)
		if frames := l.frames(); count(frames, "target-mac 02:00:00:00:00:07") != announcements {
			t.Errorf("with another MAC: %q", frames)
		}
	})
}

func TestAnAddressIsHeldAlsoWhereNobodyCanBeTold(t *testing.T) {
	on(t, func(t *testing.T, l *lan) {
		h := l.host(t, 1)
		h.broken = errors.New("operation not permitted")
		h.wants(true, v4)
		rest(time.Minute)
		if w := h.Warnings(); !h.holds(v4) || len(w) != 1 || w[0] != v4+" cannot be announced on eth0: operation not permitted" {
			t.Errorf("held %v, warnings %q", h.holds(v4), w)
		}
	})
}

// TestWhatOthersSayOfThemselvesIsNoConflict goes through frames that are about something else.
func TestWhatOthersSayOfThemselvesIsNoConflict(t *testing.T) {
	on(t, func(t *testing.T, l *lan) {
		h := l.host(t, 1)
		h.wants(true, v4, v6)
		rest(time.Minute)
		h.whats()
		for _, text := range []string{
			"arp request 203.0.113.7 02:00:00:00:00:09 > 203.0.113.10 00:00:00:00:00:00",
			"arp reply 203.0.113.7 02:00:00:00:00:09 > 203.0.113.10 02:00:00:00:00:01",
			"arp reply 0.0.0.0 02:00:00:00:00:09 > 203.0.113.10 02:00:00:00:00:01",
			"arp request 203.0.113.10 02:00:00:00:00:01 > 203.0.113.10 00:00:00:00:00:00", // our own, come back
			"ipv6 2001:db8::7 > 2001:db8::10 hop 255\nicmp6 neighbour-advertisement\nneighbour 2001:db8::7 target-mac 02:00:00:00:00:09",
			"ipv6 2001:db8::10 > ff02::1 hop 64\nicmp6 neighbour-advertisement\nneighbour 2001:db8::10 target-mac 02:00:00:00:00:09",
			"ipv6 2001:db8::10 > ff02::1 hop 255\nicmp6 neighbour-advertisement sum 0x1234\nneighbour 2001:db8::10 target-mac 02:00:00:00:00:09",
			"ipv6 2001:db8::7 > ff02::1:ff00:10 hop 255\nicmp6 neighbour-solicitation\nneighbour 2001:db8::10 source-mac 02:00:00:00:00:09",
			"ipv4 203.0.113.10 > 203.0.113.7\nudp 1 > 2", "data 0x00",
		} {
			l.send(nil, packet.MustEncode("eth 02:00:00:00:00:09 > ff:ff:ff:ff:ff:ff\n"+text))
			if got := h.whats(); len(got) > 0 || !h.holds(v4) || !h.holds(v6) {
				t.Errorf("%s: %v", text, got)
			}
		}
	})
}
