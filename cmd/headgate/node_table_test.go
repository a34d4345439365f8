package main

import (
	"testing"

	"github.com/headgate/headgate/pkg/api"
)

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
