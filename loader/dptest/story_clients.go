package dptest

import (
	"fmt"
	"slices"
	"strings"
)

// tellClients tells what changed of where clients stick and of what they have used of their rates.
func (t *telling) tellClients() {
	for _, line := range t.changedSticks() {
		t.say("stick %s", line)
	}
	for _, budget := range t.noteBudgets() {
		t.say("throttle %s", budget)
	}
}

// changedSticks are lines as those of tellTable. The word of an entry counts, not its time.
func (t *telling) changedSticks() (lines []string) {
	sticks := map[string]string{}
	for _, s := range t.bed.Sticks() {
		key, text := fmt.Sprint(s.Service, s.Client), s.String()
		sticks[key] = text
		switch was, known := t.sticks[key]; {
		case !known:
			lines = append(lines, "+ "+text)
		case was != text:
			lines = append(lines, "~ "+text)
		}
	}
	for key, text := range t.sticks {
		if _, still := sticks[key]; !still {
			lines = append(lines, "- "+text)
		}
	}
	t.sticks = sticks
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[2:], b[2:]) })
	return lines
}

// tellFragments tells which datagrams are known, when that has changed.
func (t *telling) tellFragments() {
	var datagrams []string
	for _, d := range t.bed.Datagrams() {
		datagrams = append(datagrams, d.String())
	}
	for _, text := range datagrams {
		if !slices.Contains(t.datagrams, text) {
			t.say("datagram %s", text)
		}
	}
	t.datagrams = datagrams
}

// noteBudgets returns those that have changed since it was last called.
func (t *telling) noteBudgets() (changed []Budget) {
	budgets := map[string]uint64{}
	for _, b := range t.bed.Budgets() {
		key := fmt.Sprint(b.Group, b.Client)
		budgets[key] = b.until
		if was, known := t.budgets[key]; !known || was != b.until {
			changed = append(changed, b)
		}
	}
	t.budgets = budgets
	return changed
}
