package schedule

import "time"

const (
	rampFirst = 10 // percent of its weight that a node has when it has just recovered
	rampStep  = 10 // by which that grows
)

// Ramp is how many percent of its weight a node has so long after it has recovered, if it starts slowly over a
// time: 10 at first, and then ten more at a time until it has all. next is how long that holds, 0 for ever.
func Ramp(since, over time.Duration) (percent int, next time.Duration) {
	const steps = (100 - rampFirst) / rampStep
	if since >= over {
		return 100, 0
	}
	step := max(0, since) * steps / over
	return rampFirst + int(step)*rampStep, (over*(step+1)+steps-1)/steps - since
}
