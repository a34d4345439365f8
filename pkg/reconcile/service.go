package reconcile

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/headgate/headgate/pkg/maps"
	"github.com/headgate/headgate/pkg/schedule"
	"github.com/headgate/headgate/pkg/state"
)

// service is what is known of a service id's entries in the maps.
type service struct {
	id        uint32
	vip       maps.VIP
	started   bool // its id's counters are its own
	info      cell[maps.ServiceInfo]
	word      cell[maps.ServiceWord]
	stick     cell[maps.StickPolicy]
	throttle  cell[maps.ThrottlePolicy]
	tier      uint16 // of stick, decided if not yet written; 0: none yet
	published cell[bool]
	nodes     map[netip.AddrPort]*node
	gone      time.Time // since when it is no longer published; zero: it is, or will be

	table   *table   // written last; the word points to it, or soon will
	extents []extent // that the word may point to

	base    *schedule.Maglev // of the last table by hash
	members []schedule.Member

	// What was applied last without a failure, to know when there is nothing to do.
	built    uint64 // state.Service.Built; 0: none
	at       time.Time
	linked   uint64   // links.changed at that time
	warnings []string // of it
	round    uint64   // of the last Apply that came to it
	wanted   uint64   // round of the last View that had it
}

// applyServices makes each service of the View.
func (r *Reconciler) applyServices(v *state.View) error {
	var errs []error
	now := r.now()
	for i, s := range v.Services {
		svc := r.met[i]
		if svc == nil {
			svc = r.byVIP[vipOf(s)] // another service of this View, if any
		}
		if svc != nil && svc.round == r.round {
			errs = append(errs, fmt.Errorf("config %s: %s belongs to another config already", s.Config, svc.vip))
			continue
		}
		if svc == nil || !r.stands(svc, s, now) {
			if err := r.applyAnew(s); err != nil {
				errs = append(errs, fmt.Errorf("config %s (%s): %w", s.Config, s.VIP, err))
			}
			continue
		}
		svc.round = r.round
		r.warnings = append(r.warnings, svc.warnings...)
	}
	return errors.Join(errs...)
}

// standsFor is how long a service stands without another look. A few things depend on the time: deadlines that
// fell long ago move along, see pinned.
const standsFor = 10 * time.Minute

// stands reports whether a service is surely applied as the View has it.
func (r *Reconciler) stands(svc *service, s *state.Service, now time.Time) bool {
	return s.Built != 0 && svc.built == s.Built && svc.linked == r.links.changed && svc.gone.IsZero() &&
		now.Sub(svc.at).Abs() < standsFor
}

// applyAnew applies a service, and remembers that it stands if nothing failed.
func (r *Reconciler) applyAnew(s *state.Service) error {
	warned := len(r.warnings)
	err := r.applyService(s)
	svc := r.byVIP[vipOf(s)]
	if svc == nil {
		return err
	}
	svc.round, svc.built = r.round, 0
	if err == nil {
		svc.built, svc.at, svc.linked, svc.warnings = s.Built, r.now(), r.links.changed, slices.Clone(r.warnings[warned:])
	}
	return err
}

// applyService is the order in which a service is made or changed. What fails ends it, so that
// nothing is published whose parts are not there; what there is no room for is left out.
func (r *Reconciler) applyService(s *state.Service) error {
	svc, err := r.serviceFor(s)
	if err != nil {
		return err
	}
	shares, noRoom, err := r.prepareNodes(svc, s)
	if err != nil {
		return err
	}
	if err := r.setPolicies(svc, s); err != nil {
		return err
	}
	if err := r.commit(svc, s, shares); err != nil {
		return err
	}
	if err := r.settleNodes(svc, s, shares); err != nil {
		return err
	}
	if err := r.publish(svc); err != nil {
		return err
	}
	return noRoom
}

// serviceFor returns the service with its id: the one that it had, as long as anything of it is
// left.
func (r *Reconciler) serviceFor(s *state.Service) (*service, error) {
	vip := vipOf(s)
	svc := r.byVIP[vip]
	if svc == nil {
		id, ok := r.serviceIDs.take()
		if !ok {
			return nil, &fullError{fmt.Sprintf("services: all %d ids are in use", r.t.Limits().Services)}
		}
		svc = &service{id: id, vip: vip, nodes: map[netip.AddrPort]*node{}, published: known(false)}
		r.services[id], r.byVIP[vip] = svc, svc
	}
	svc.gone = time.Time{}
	if !svc.started {
		r.writes++
		if err := r.t.StartService(svc.id); err != nil {
			return nil, err
		}
		svc.started = true
	}
	// First of all, so that after a crash every node is known to be whose it is.
	info := maps.ServiceInfo{VIP: vip, Balancer: s.Config.Balancer}
	err := svc.info.set(r, info, func(i maps.ServiceInfo) error { return r.t.WriteServiceInfo(svc.id, i) })
	return svc, err
}

// prepareNodes writes the records of all nodes and returns what they have of the table, in the order
// of the config. noRoom tells of nodes that there is no room for.
func (r *Reconciler) prepareNodes(svc *service, s *state.Service) (shares []share, noRoom, err error) {
	var full []error
	shares = make([]share, len(s.Nodes))
	for i := range s.Nodes {
		n := &s.Nodes[i]
		sh, err := r.prepareNode(svc, s, n)
		if shares[i] = sh; err != nil {
			err = fmt.Errorf("node %s: %w", n.Label, err)
			if !errors.As(err, new(*fullError)) {
				return nil, nil, err
			}
			full = append(full, err)
		}
	}
	return shares, errors.Join(full...), nil
}

// settleNodes writes, now that the table is committed, the status of the nodes that are not in it.
func (r *Reconciler) settleNodes(svc *service, s *state.Service, shares []share) error {
	present := 0
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if shares[i].id != 0 {
			present++
		}
		if shares[i].id == 0 || shares[i].percent > 0 {
			continue
		}
		nd := svc.nodes[n.Key.Address]
		if err := r.setStatus(nd, statusOf(s, n, false, n.Sticks && nd.snats.value.Count > 0)); err != nil {
			return fmt.Errorf("node %s: %w", n.Label, err)
		}
	}
	if present == len(svc.nodes) {
		return nil
	}
	for address, nd := range svc.nodes {
		if nd.wanted == r.round {
			continue
		}
		r.directory.leave(svc.vip, nd)
		if err := r.removeNode(nd); err != nil {
			return fmt.Errorf("node %s, removed: %w", address, err)
		}
	}
	return nil
}

// publish lets packets find a service, and first lets them know that its address is ours.
func (r *Reconciler) publish(svc *service) error {
	if err := r.needOurs(svc.vip.Addr); err != nil {
		return err
	}
	if err := r.publishAddress(svc.vip.Addr); err != nil {
		return err
	}
	return svc.published.set(r, true, func(bool) error { return r.t.PutVIP(svc.vip, svc.id) })
}

// removeServices takes back the services that are not wanted: first nobody finds them, then their
// tables are empty, then their nodes are marked.
func (r *Reconciler) removeServices(v *state.View) error {
	var errs []error
	var wanted map[maps.VIP]bool
	if len(r.stray) > 0 {
		wanted = wantedVIPs(v)
	}
	for len(r.stray) > 0 {
		vip := r.stray[0]
		if wanted[vip] { // publishing it puts it right
			r.stray = r.stray[1:]
			continue
		}
		r.writes++
		if err := r.t.DeleteVIP(vip); err != nil {
			errs = append(errs, fmt.Errorf("%s, which no service knows: %w", vip, err))
			break
		}
		r.stray = r.stray[1:]
	}
	if r.wanted == len(r.services) {
		return errors.Join(errs...)
	}
	for _, svc := range r.services {
		if svc.wanted == r.round {
			continue
		}
		if err := r.removeService(svc); err != nil {
			errs = append(errs, fmt.Errorf("service %d (%s), removed: %w", svc.id, svc.vip, err))
		}
	}
	return errors.Join(errs...)
}

func (r *Reconciler) removeService(svc *service) error {
	err := svc.published.set(r, false, func(bool) error { return r.t.DeleteVIP(svc.vip) })
	if err != nil {
		return err
	}
	if err := r.setWord(svc, maps.ServiceWord{}, &table{}); err != nil {
		return err
	}
	for address, nd := range svc.nodes {
		r.directory.leave(svc.vip, nd)
		if err := r.removeNode(nd); err != nil {
			return fmt.Errorf("node %s: %w", address, err)
		}
	}
	if svc.gone.IsZero() {
		svc.gone, r.leaving = r.now(), true
	}
	return nil
}
