package usage

import "time"

// month adds what has grown to the month that it is now.
func (a *account) month(now time.Time, grown Count) {
	if month := now.UTC().Format("2006-01"); month != a.Month {
		a.Month, a.In, a.Out = month, 0, 0
	}
	a.In += grown.In
	a.Out += grown.Out
}

// spread adds what has grown since from to the steps between, each its share of the time, and returns the points
// of those that are over. Nobody read counters while the daemon was away; what came then is spread evenly.
func (a *account) spread(from, now time.Time, grown Count) (closed []Point) {
	span := now.Sub(from)
	for at := from; at.Before(now); {
		end := at.Truncate(Step).Add(Step)
		upto := end
		if upto.After(now) {
			upto = now
		}
		a.Window.add(grown, float64(upto.Sub(at))/float64(span))
		if upto.Equal(end) {
			closed = append(closed, a.close(end)...)
		}
		at = upto
	}
	if span == 0 {
		a.Window.add(grown, 1)
	}
	a.forget(now)
	return closed
}

func (w *Window) add(c Count, share float64) {
	w.Flows += float64(c.Flows) * share
	w.In += float64(c.In) * share
	w.Out += float64(c.Out) * share
}

// close ends a step. It makes a point if the whole step was counted.
func (a *account) close(end time.Time) []Point {
	w := a.Window
	a.Window = Window{}
	if a.Since.After(end.Add(-Step)) {
		return nil
	}
	seconds := Step.Seconds()
	p := Point{End: end.UTC(), Flows: w.Flows / seconds, In: w.In / seconds, Out: w.Out / seconds}
	a.points = append(a.points[:len(a.points):len(a.points)], p) // others may hold the list of before
	return []Point{p}
}

// forget drops the points that are older than a day, and those that are yet to come because the clock was set back.
func (a *account) forget(now time.Time) {
	first, last := 0, len(a.points)
	for first < last && !a.points[first].End.After(now.Add(-Day)) {
		first++
	}
	for last > first && a.points[last-1].End.After(now) {
		last--
	}
	a.points = a.points[first:last]
}
