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

// seconds makes a duration, at most a year so that nothing overflows.
func seconds(s float64) time.Duration {
	const year = 365 * 24 * 3600
	return time.Duration(min(s, year) * float64(time.Second))
}
