package main

import (
	"testing"

	"github.com/headgate/headgate/pkg/api"
)

func TestHealthThatPeopleSetIsToldFromHealthThatWasFound(t *testing.T) {
	for want, n := range map[string]api.Node{
		"UP":              {Health: "UP"},
		"DOWN (admin)":    {Health: "DOWN", Reason: "admin", Override: "up"},
		"UP (override)":   {Health: "DOWN", Reason: "connection refused", Override: "up"},
		"DOWN (override)": {Health: "UP", Override: "down"},
	} {
		if got := healthOf(n); got != want {
			t.Errorf("%+v: %q, want %q", n, got, want)
		}
	}
}

func TestNewFlowsAreAnsweredWithYesOrNo(t *testing.T) {
	for want, n := range map[string]api.Node{
		"yes: UP":               {TakesNew: true, Why: "takes new flows: UP"},
		"yes although DOWN: so": {TakesNew: true, Why: "takes new flows although DOWN: so"},
		"no: mode drain":        {Why: "takes no new flows: mode drain"},
		"yes":                   {TakesNew: true},
		"no":                    {},
	} {
		if got := newFlows(n); got != want {
			t.Errorf("%+v: %q, want %q", n, got, want)
		}
	}
}
