package coordinator

import "time"

// ewmaWeight is the share of the newest unit in a node's mean. 0.3 follows a change
// of speed (a neighbour that starts to use the machine) within about five units and
// damps the factor of 2 between short and long units.
const ewmaWeight = 0.3

// ewma is an exponentially weighted mean.
type ewma struct {
	mean float64
	n    int
}

func (e *ewma) add(x float64) {
	if e.n == 0 {
		e.mean = x
	} else {
		e.mean += ewmaWeight * (x - e.mean)
	}
	e.n++
}

// maxTime bounds the time of a unit, and what is computed from it, so that nothing overflows.
const maxTime = 365 * 24 * time.Hour

// seconds makes a duration, at most maxTime.
func seconds(s float64) time.Duration {
	return time.Duration(min(s, maxTime.Seconds()) * float64(time.Second))
}
