package announce

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/headgate/headgate/pkg/packet"
)

// phase is where a claim has come to.
type phase int

const (
	probing phase = iota // others are asked whether they have the address
	held                 // it is ours
	left                 // it is another host's
)

// claim is an Address that is wanted.
type claim struct {
	Address
	phase    phase
	frames   int       // still to send: probes, or announcements
	due      time.Time // when to do the next thing; zero: never
	defended time.Time // when another host was last told
	other    packet.MAC
	trouble  [2]string // why nobody can be told, and why nobody can be heard
}

// port is the socket of a link, or why there is none.
type port struct {
	Port
	trouble string
	retry   time.Time
}

// work is what Run alone touches.
type work struct {
	*Announcer
	ctx    context.Context
	claims map[Key]*claim
	order  []Key // of what is wanted
	ports  map[int]*port
	mine   [][6]byte
}

// take follows what is wanted.
func (w *work) take() {
	w.mu.Lock()
	wanted, mine := w.wanted, w.own
	w.mu.Unlock()
	w.mine, w.order = mine, nil
	keep, links := map[Key]bool{}, map[int]bool{}
	for _, a := range wanted {
		keep[a.key()], links[a.Link] = true, true
		w.order = append(w.order, a.key())
		w.want(a)
	}
	for key, c := range w.claims {
		if !keep[key] {
			w.leaveGroup(c)
			delete(w.claims, key)
		}
	}
	for link, p := range w.ports {
		if !links[link] {
			p.close()
			delete(w.ports, link)
		}
	}
}

// want begins a claim, or goes on with it: a link that came up, or got another MAC, has to be told anew.
func (w *work) want(a Address) {
	now := time.Now()
	c := w.claims[a.key()]
	switch {
	case c == nil:
		c = &claim{Address: a}
		w.claims[a.key()] = c
		if a.Answer {
			w.hold(c, now)
		} else {
			c.probe(now)
		}
		return
	case c.phase == held && (a.Up && !c.Up || a.MAC != c.MAC):
		c.Address = a
		w.hold(c, now)
	case c.phase != held && a.Up && !c.Up:
		c.probe(now)
	}
	c.Address = a
}

func (c *claim) probe(now time.Time) { c.phase, c.frames, c.due = probing, probes, now }

// hold makes an address ours and tells so.
func (w *work) hold(c *claim, now time.Time) {
	c.phase, c.frames, c.due, c.other, c.trouble[1] = held, announcements, now, packet.MAC{}, ""
	if !c.Addr.Is6() {
		return
	}
	if err := w.o.Join(c.Link, packet.SolicitedNode(c.Addr)); err != nil && c.Up {
		c.trouble[1] = fmt.Sprintf("%s is announced on %s, but may not be found there: %v", c.Addr, c.Name, err)
	}
}

func (w *work) leaveGroup(c *claim) {
	if c.Addr.Is6() {
		if err := w.o.Leave(c.Link, packet.SolicitedNode(c.Addr)); err != nil {
			w.o.Log.Warn("leave a multicast group", "err", err)
		}
	}
}

// step does what is due, and says how long there is nothing to do.
func (w *work) step(now time.Time) time.Duration {
	next := now.Add(time.Hour)
	for _, key := range w.order {
		c := w.claims[key]
		if c.Up && !c.due.IsZero() && !now.Before(c.due) {
			w.do(c, now)
		}
		if c.Up && !c.due.IsZero() && c.due.Before(next) {
			next = c.due
		}
	}
	return max(0, next.Sub(now))
}

func (w *work) do(c *claim, now time.Time) {
	switch {
	case c.phase == left:
		c.probe(now)
		w.do(c, now)
	case c.frames > 0 && c.phase == probing:
		w.send(c, probe(c.Address), now)
		c.frames, c.due = c.frames-1, now.Add(probeEvery)
	case c.phase == probing: // and nobody has answered
		w.hold(c, now)
		w.o.Report(Happening{Address: c.Address, What: Held})
		w.do(c, now)
	case c.frames > 0:
		w.send(c, announcement(c.Address), now)
		if c.frames, c.due = c.frames-1, now.Add(announceEvery); c.frames == 0 {
			c.due = time.Time{}
		}
	}
}

// send sends a frame by the claim's link. While that cannot be, the address is held nevertheless: who asks is answered.
func (w *work) send(c *claim, p packet.Packet, now time.Time) {
	frame, err := p.Encode()
	if err == nil {
		err = w.port(c.Link, now).send(frame)
	}
	c.trouble[0] = ""
	if err != nil {
		c.trouble[0] = fmt.Sprintf("%s cannot be announced on %s: %v", c.Addr, c.Name, err)
	}
}

// port opens the socket of a link, and tries again from time to time.
func (w *work) port(link int, now time.Time) *port {
	p := w.ports[link]
	if p != nil && (p.Port != nil || now.Before(p.retry)) {
		return p
	}
	p = &port{retry: now.Add(probeEvery)}
	w.ports[link] = p
	opened, err := w.o.Open(link)
	if err != nil {
		p.trouble = err.Error()
		return p
	}
	p.Port = opened
	go w.listen(link, opened)
	return p
}

func (p *port) send(frame []byte) error {
	if p.Port == nil {
		return fmt.Errorf("%s", p.trouble)
	}
	return p.Send(frame)
}

func (p *port) close() {
	if p.Port != nil {
		_ = p.Port.Close() // nothing is left to send
	}
}

func (w *work) close() {
	for _, p := range w.ports {
		p.close()
	}
}

// listen hands over what comes in until the port is closed.
func (w *work) listen(link int, p Port) {
	for {
		frame, err := p.Receive()
		if err != nil {
			return
		}
		select {
		case w.frames <- incoming{link, frame}:
		case <-w.ctx.Done():
			return
		}
	}
}

// hear looks for a conflict in a frame, and says whether there is one.
func (w *work) hear(in incoming) bool {
	said, ok := read(in.frame)
	if !ok || slices.Contains(w.mine, [6]byte(said.mac)) {
		return false
	}
	c := w.claims[Key{said.addr, in.link}]
	now := time.Now()
	switch {
	case c == nil || c.phase == left:
		return false
	case c.phase == probing: // who only asks wants it as we do: both stand back, and come back at other times
		w.yield(c, said.mac, now)
	case said.probe: // the data path has told it
		return false
	case now.Sub(c.defended) < defendInterval:
		w.yield(c, said.mac, now)
	default:
		c.defended, c.other = now, said.mac
		w.send(c, announcement(c.Address), now)
		w.o.Report(Happening{Address: c.Address, What: Defended, Other: said.mac})
	}
	return true
}

// yield leaves an address to the host that uses it, until it is free.
func (w *work) yield(c *claim, other packet.MAC, now time.Time) {
	if c.phase == held {
		w.leaveGroup(c)
	}
	news := c.phase == held || c.other != other
	c.phase, c.other, c.due, c.trouble = left, other, now.Add(jitter(retryAfter)), [2]string{}
	if news {
		w.o.Report(Happening{Address: c.Address, What: Left, Other: other})
	}
}

// publish tells what is held, and what is not as it should be.
func (w *work) publish() {
	now, warnings := map[Key]bool{}, []string(nil)
	for _, key := range w.order {
		c := w.claims[key]
		if c.phase == held {
			now[key] = true
		}
		if c.phase == left || c.phase == probing && c.other != (packet.MAC{}) {
			warnings = append(warnings, Happening{Address: c.Address, What: Left, Other: c.other}.String())
		}
		for _, t := range c.trouble {
			if t != "" {
				warnings = append(warnings, t)
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.warnings = warnings
	if len(now) != len(w.held) || slices.ContainsFunc(w.order, func(k Key) bool { return now[k] != w.held[k] }) {
		w.held = now
		poke(w.changed)
	}
}
