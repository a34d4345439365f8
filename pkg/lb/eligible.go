package lb

import (
	"fmt"
	"strconv"
	"strings"
)

// MinEligible is how many primaries must be eligible for them to take the new flows, and not the backups: N
// nodes, or N hundredths of the weight that all primaries have together.
type MinEligible struct {
	N       int
	Percent bool
}

const minEligibleMust = `a number of nodes, or a part of the primaries' weight as in "50%"`

// ParseMinEligible reads N or N%.
func ParseMinEligible(s string) (MinEligible, error) {
	digits, percent := strings.CutSuffix(s, "%")
	n, err := strconv.Atoi(digits)
	if err != nil || !plainDigits.MatchString(digits) {
		return MinEligible{}, fmt.Errorf("must be %s, not %q", minEligibleMust, s)
	}
	return MinEligible{n, percent}, nil
}

// String is N or N%, as ParseMinEligible reads it.
func (m MinEligible) String() string {
	if m.Percent {
		return strconv.Itoa(m.N) + "%"
	}
	return strconv.Itoa(m.N)
}

func (m MinEligible) reason() string {
	if m.Percent && MinEligiblePercent.Reason(int64(m.N)) != "" {
		return fmt.Sprintf("must be from %d%% to %d%% of the primaries' weight, not %s", MinEligiblePercent.Min, MinEligiblePercent.Max, m)
	}
	return MinEligibleNodes.Reason(int64(m.N))
}

// Reached says whether so many eligible nodes are enough, with this weight of that of all primaries. Nobody is
// never enough.
func (m MinEligible) Reached(eligible, weight, ofWeight int) bool {
	if m.Percent {
		return eligible > 0 && weight*100 >= ofWeight*m.N
	}
	return eligible > 0 && eligible >= m.N
}
