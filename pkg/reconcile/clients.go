package reconcile

import (
	"fmt"

	"github.com/headgate/headgate/pkg/lb"
	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/schedule"
	"github.com/headgate/headgate/pkg/state"
)

// next is the status that a node is given, with the generation of its id. That changes, and all stick
// entries to the node die, when it goes DOWN, when its UDP sessions are told so (with on_no_backend open
// that is later), and when it is removed: its clients do not return should it come back.
func (nd *node) next(s maps.Status) maps.Status {
	was := nd.decided
	s.Generation = was.Generation
	if isDown(s) && !isDown(was) || s.Actions&maps.Dead > was.Actions&maps.Dead ||
		s.Lifecycle == maps.Removed && was.Lifecycle != maps.Removed {
		s.Generation++
	}
	nd.decided = s
	return s
}

func isDown(s maps.Status) bool { return schedule.Effective(s.Health, s.Override) == lb.Down }

// firstGeneration is one that no stick entry has which an earlier owner of the id left.
func (r *Reconciler) firstGeneration(id uint32) (uint16, error) {
	before, err := r.t.ReadNode(id)
	return before.Status.Generation + 1, err
}

// nextTier is the tier of a service that had t, 0 if it is new: another one whenever the turn of the
// backups begins or ends.
func nextTier(t uint16, backups bool) uint16 {
	odd := uint16(0)
	if backups {
		odd = 1
	}
	if t > 1 && t%2 == odd {
		return t
	}
	if t++; t < 2 { // 0 is none, and 1 would be a turn of the backups before any other
		t = 2 + odd
	}
	return t
}

// policyWord is what the word of a service says beside its table.
func policyWord(s *state.Service) maps.ServiceWord {
	return maps.ServiceWord{Drop: s.OnNoBackend == lb.NoBackendDrop, Stick: s.Sticky, Throttle: s.Throttle > 0}
}

// setPolicies writes how clients stick, and how fast they open flows, before the word says that it counts.
// What no longer counts stays as it is: packets may still go by the word of before.
func (r *Reconciler) setPolicies(svc *service, s *state.Service) error {
	svc.tier = nextTier(svc.tier, s.Tier == schedule.Backup)
	stick := maps.StickPolicy{TTL: svc.stick.value.TTL, Slides: svc.stick.value.Slides, Tier: svc.tier}
	if s.Sticky {
		stick.TTL, stick.Slides = s.StickTTL, s.StickSlides
	}
	err := svc.stick.set(r, stick, func(p maps.StickPolicy) error { return r.t.WriteStickPolicy(svc.id, p) })
	if err != nil || s.Throttle == 0 {
		return err
	}
	group, err := r.groups.of(budget{s.Config.Balancer, s.Protocol})
	if err != nil {
		return err
	}
	throttle := maps.ThrottlePolicy{Group: group, Rate: s.Throttle}
	return svc.throttle.set(r, throttle, func(p maps.ThrottlePolicy) error { return r.t.WriteThrottlePolicy(svc.id, p) })
}

// budget is what the services of a balancer share that have one protocol.
type budget struct {
	balancer string
	protocol lb.Protocol
}

// groups numbers the budgets. A number that nobody uses any more may go to another budget at once: what
// clients have used of the old one is forgotten within a second.
type groups struct {
	ids ids
	by  map[budget]uint32
}

func newGroups(services uint32) groups {
	return groups{newIDs(1, services+1), map[budget]uint32{}}
}

func (g *groups) of(b budget) (uint32, error) {
	id, ok := g.by[b]
	if !ok {
		if id, ok = g.ids.take(); !ok {
			return 0, &fullError{fmt.Sprintf("groups: all %d are in use", len(g.ids.taken)-1)}
		}
		g.by[b] = id
	}
	return id, nil
}

// restore takes what a service's policy says, unless another budget has it already.
func (g *groups) restore(b budget, id uint32) {
	if _, known := g.by[b]; known || id >= uint32(len(g.ids.taken)) || id == 0 || g.ids.taken[id] {
		return
	}
	g.ids.mark(id)
	g.by[b] = id
}

// sweepGroups frees the groups that no service's word says that they count, or may say.
func (r *Reconciler) sweepGroups() {
	used := map[uint32]bool{}
	for _, svc := range r.services {
		if !svc.word.known || svc.word.value.Throttle {
			used[svc.throttle.value.Group] = true
		}
	}
	for b, id := range r.groups.by {
		if !used[id] {
			delete(r.groups.by, b)
			r.groups.ids.free(id)
		}
	}
}
