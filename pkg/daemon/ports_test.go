package daemon

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/headgate/headgate/loader"
	"github.com/headgate/headgate/pkg/netdev"
)

func up(index int, name string) netdev.Link { return netdev.Link{Index: index, Name: name, Up: true} }

func TestOnlyWantedInterfacesAreAttached(t *testing.T) {
	a := &fakeAttacher{}
	p := newPorts([]string{"eth0", "eth2"}, loader.ModeAuto, a, quietly())
	if err := p.start([]netdev.Link{up(1, "lo"), up(2, "eth0"), up(3, "eth1"), up(4, "eth2")}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a.calls, []int{2, 4}) || !slices.Equal(a.kept, []int{2, 4}) {
		t.Errorf("attached %v, kept %v", a.calls, a.kept)
	}
	if p.update([]netdev.Link{up(2, "eth0"), up(4, "eth2")}) || len(a.calls) != 2 {
		t.Error("nothing changed, yet something was done")
	}
}

func TestAStartNamesEveryInterfaceThatCannotBeAttached(t *testing.T) {
	a := &fakeAttacher{refuse: map[string]error{"eth0": errors.New("attach to eth0: no")}}
	err := newPorts([]string{"eth0", "eth7"}, loader.ModeAuto, a, quietly()).start([]netdev.Link{up(2, "eth0")})
	if err == nil || !strings.Contains(err.Error(), "attach to eth0: no") || !strings.Contains(err.Error(), "eth7") {
		t.Errorf("%v", err)
	}
}

func TestAnInterfaceThatCouldNotBeAttachedIsTriedAgain(t *testing.T) {
	a := &fakeAttacher{}
	p := newPorts([]string{"eth0"}, loader.ModeAuto, a, quietly())
	links := []netdev.Link{up(2, "eth0")}
	if err := p.start(links); err != nil {
		t.Fatal(err)
	}
	p.update(nil) // gone
	a.refuse = map[string]error{"eth0": errors.New("attach to eth0: busy")}
	p.update(links)
	if w := p.warnings(); len(w) != 1 || w[0] != "attach to eth0: busy" {
		t.Errorf("%q", w)
	}
	a.refuse = nil
	if !p.update(links) || p.interfaces()[0].Index != 2 || len(p.warnings()) != 0 {
		t.Errorf("%+v %q", p.interfaces(), p.warnings())
	}
}

func TestAnInterfaceThatWasReplacedAtOnceIsAttachedAnew(t *testing.T) {
	a := &fakeAttacher{}
	p := newPorts([]string{"eth0"}, loader.ModeAuto, a, quietly())
	if err := p.start([]netdev.Link{up(2, "eth0")}); err != nil {
		t.Fatal(err)
	}
	if !p.update([]netdev.Link{up(7, "eth0")}) || !slices.Equal(a.calls, []int{2, 7}) || !slices.Equal(a.kept, []int{7}) {
		t.Errorf("attached %v, kept %v", a.calls, a.kept)
	}
}

func TestAnInterfaceThatIsRenamedIsServedAsBefore(t *testing.T) {
	a := &fakeAttacher{}
	p := newPorts([]string{"eth0"}, loader.ModeAuto, a, quietly())
	if err := p.start([]netdev.Link{up(2, "eth0")}); err != nil {
		t.Fatal(err)
	}
	p.update([]netdev.Link{up(2, "uplink")})
	if w := p.warnings(); len(w) != 1 || !strings.Contains(w[0], "interface eth0 is called uplink now") || p.interfaces()[0].Index != 2 {
		t.Errorf("renamed: %q, %+v", w, p.interfaces())
	}
	p.update([]netdev.Link{up(2, "uplink"), up(5, "eth0")}) // the name is another's
	if len(p.warnings()) != 0 || !slices.Equal(a.calls, []int{2, 5}) || !slices.Equal(a.kept, []int{5}) {
		t.Errorf("%q, attached %v, kept %v", p.warnings(), a.calls, a.kept)
	}
}

func TestWhatIsWrongWithAnInterfaceIsSaid(t *testing.T) {
	p := newPorts([]string{"eth0"}, loader.ModeAuto, &fakeAttacher{mode: loader.ModeGeneric}, quietly())
	if err := p.start([]netdev.Link{{Index: 2, Name: "eth0"}}); err != nil {
		t.Fatal(err)
	}
	w := strings.Join(p.warnings(), "\n")
	if !strings.Contains(w, "eth0 is down") || !strings.Contains(w, "generic mode") {
		t.Errorf("%q", w)
	}
	p = newPorts([]string{"eth0"}, loader.ModeGeneric, &fakeAttacher{mode: loader.ModeGeneric}, quietly())
	if err := p.start([]netdev.Link{up(2, "eth0")}); err != nil || len(p.warnings()) > 0 {
		t.Errorf("generic mode was asked for, yet %q, %v", p.warnings(), err)
	}
}

func TestVLANLinksLeaveByThemselvesOnlyWhereTheProgramIs(t *testing.T) {
	links := []netdev.Link{up(2, "eth0"), up(3, "eth0.5"), up(4, "eth0.6")}
	for i := range links[1:] {
		links[i+1].Kind, links[i+1].Parent, links[i+1].Tags = "vlan", 2, []netdev.Tag{{Type: 0x8100, ID: uint16(5 + i)}}
	}
	for _, c := range []struct {
		interfaces []string
		parents    [3]int
	}{
		{[]string{"eth0"}, [3]int{0, 2, 2}},
		{[]string{"eth0.5"}, [3]int{0, 3, 2}},
		{[]string{"eth0", "eth0.5"}, [3]int{0, 2, 2}},
	} {
		p := newPorts(c.interfaces, loader.ModeAuto, &fakeAttacher{}, quietly())
		p.update(links)
		for i, l := range p.ways(links) {
			if l.Parent != c.parents[i] || (len(l.Tags) > 0) != (l.Parent == 2) {
				t.Errorf("attached to %v: %s leaves by %d with %v, want %d", c.interfaces, l.Name, l.Parent, l.Tags, c.parents[i])
			}
		}
	}
}
