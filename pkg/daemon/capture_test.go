package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/api"
	"github.com/headgate/headgate/pkg/maps"
)

// TestCaptureCanBeAskedForByIDs, as whatever else takes a config or a node.
func TestCaptureCanBeAskedForByIDs(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		b := backendOf(r)
		declared := r.store.Get().Balancers[0]
		config, node := fmt.Sprint(declared.Configs[0].ID), fmt.Sprint(declared.Configs[0].Nodes[0].ID)
		want, err := b.captureOptions(api.CaptureQuery{Config: "web/80", Node: "web/80/web-1"})
		if err != nil || len(want.Services) != 1 || !slices.Equal(want.Nodes, []uint32{r.inMaps(t, "192.0.2.11:8080").ID}) {
			t.Fatalf("%+v, %v", want, err)
		}
		got, err := b.captureOptions(api.CaptureQuery{Config: config, Node: node})
		if err != nil || !slices.Equal(got.Services, want.Services) || !slices.Equal(got.Nodes, want.Nodes) {
			t.Errorf("config %s, node %s: %+v, %v; want %+v", config, node, got, err, want)
		}
		if _, err := b.captureOptions(api.CaptureQuery{Node: "4711"}); err == nil {
			t.Error("there is no node 4711")
		}
	})
}

// TestCaptureLooksForTheNodeThatIsThere, wherever its id lies among those that wait for their last flows.
func TestCaptureLooksForTheNodeThatIsThere(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		state := r.inMaps(t, "192.0.2.11:8080")
		var states []maps.NodeState
		for id := range uint32(2 * loader.CaptureIDs) {
			state.ID, state.Status.Lifecycle = id+1, maps.Removed
			if id == 2 {
				state.Status.Lifecycle = maps.Present
			}
			states = append(states, state)
		}
		got := nodesOf(states, api.Node{Config: "web/80", Address: "192.0.2.11:8080"})
		if len(got) != loader.CaptureIDs || got[0] != 3 {
			t.Errorf("ids %v, want %d with 3 first", got, loader.CaptureIDs)
		}
	})
}

// fakeCapture has a packet for each loss but the last, and then fails with err.
type fakeCapture struct {
	losses []loader.CaptureLoss
	read   int
	err    error
}

func (f *fakeCapture) Read(time.Time) (loader.CapturedPacket, error) {
	if f.read++; f.read < len(f.losses) {
		return loader.CapturedPacket{}, nil
	}
	return loader.CapturedPacket{}, f.err
}

func (f *fakeCapture) Loss() (loader.CaptureLoss, error) {
	return f.losses[min(f.read, len(f.losses))-1], nil
}

// TestCaptureTellsWhatItHasMissedAtOnce with each packet, while none comes, and at the end.
func TestCaptureTellsWhatItHasMissedAtOnce(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		run := func(ctx context.Context, err error) (got []string) {
			f := &fakeCapture{losses: []loader.CaptureLoss{{Skipped: 1}, {Skipped: 2, Lost: 7}, {Skipped: 3, Lost: 7}}, err: err}
			c := &capturing{looker: newLooker(r.tables.Reader()), capture: f, out: make(chan captured)}
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			go func() {
				defer close(c.out)
				c.run(ctx, func() error { return nil })
			}()
			for p := range c.out {
				got = append(got, fmt.Sprintf("packet %v, %d skipped, %d lost, %v", p.packet.In != nil, p.packet.Skipped, p.packet.Lost, p.err))
				if errors.Is(err, os.ErrDeadlineExceeded) && len(got) == 3 {
					cancel()
				}
			}
			return got
		}
		packets := []string{"packet true, 1 skipped, 0 lost, <nil>", "packet true, 2 skipped, 7 lost, <nil>", "packet false, 3 skipped, 7 lost, <nil>"}
		if diff := cmp.Diff(packets, run(t.Context(), os.ErrDeadlineExceeded)); diff != "" {
			t.Errorf("while it goes on:\n%s", diff)
		}
		if diff := cmp.Diff(append(packets, "packet false, 0 skipped, 0 lost, broken"), run(t.Context(), errors.New("broken"))); diff != "" {
			t.Errorf("when it ends by itself:\n%s", diff)
		}
	})
}

// stubborn cannot be closed so many times.
type stubborn int

func (s *stubborn) Close() error {
	if *s--; *s >= 0 {
		return errors.New("replace the program on eth0: busy")
	}
	return nil
}

// TestCaptureThatCannotBeEndedIsNotForgotten: the log and status say so, until an attempt succeeds.
func TestCaptureThatCannotBeEndedIsNotForgotten(t *testing.T) {
	running(t, twoNodes, func(t *testing.T, r *rig) {
		b := backendOf(r)
		warned := func() bool {
			st, err := b.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return slices.ContainsFunc(st.Warnings, func(w string) bool {
				return strings.HasPrefix(w, "a capture is over, but") && strings.HasSuffix(w, "eth0: busy")
			})
		}
		second := func() {
			time.Sleep(tickInterval)
			synctest.Wait()
		}
		s := stubborn(2)
		if err := r.unended.end(&s, r.says); err == nil || !warned() {
			t.Errorf("%v, warned: %v", err, warned())
		}
		second()
		if !warned() {
			t.Error("no warning after an attempt that failed, too")
		}
		second()
		if warned() || s != -1 {
			t.Errorf("still a warning, or too many attempts: %d", s)
		}
	})
}
