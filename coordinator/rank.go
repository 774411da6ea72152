package coordinator

import (
	"encoding/binary"
	"math"

	"github.com/cespare/xxhash/v2"
)

// Weighted rendezvous hashing: each node scores each unit with -w/ln(h), h being a
// hash of (plan id, unit, node) in (0, 1) and w the node's weight. A node is then first
// for a share w/Σw of the units, and a change of one weight moves units only to or
// from that node. (Thaler and Ravishankar 1998 for the unweighted form; the
// logarithm makes the scores exponential variables, whose minimum falls on each
// with probability proportional to its rate.)

// nodeSeed is the part of the hash that does not depend on the unit.
func nodeSeed(planID string, node NodeID) uint64 {
	return xxhash.Sum64String(planID + "\x00" + string(node))
}

// score is the place of a node for a unit: the greater, the earlier. A node of
// weight 0 has the score 0, after all others; no weight may be negative.
func score(seed uint64, unit int, weight float64) float64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], seed)
	binary.LittleEndian.PutUint64(b[8:], uint64(unit))
	h := (float64(xxhash.Sum64(b[:])>>11) + 0.5) / (1 << 53) // in (0, 1)
	return -weight / math.Log(h)
}

// before reports whether a node with score a goes before one with score b; names
// settle the (practically impossible) tie, so that all agree.
func before(a, b float64, aName, bName NodeID) bool {
	if a != b {
		return a > b
	}
	return aName < bName
}

// Rank returns the place of node among the weighted nodes for a unit, 0 for the
// owner: the slow, readable form of what the coordinator computes.
func Rank(planID string, unit int, node NodeID, weights map[NodeID]float64) int {
	mine := score(nodeSeed(planID, node), unit, weights[node])
	rank := 0
	for other, w := range weights {
		if other != node && before(score(nodeSeed(planID, other), unit, w), mine, other, node) {
			rank++
		}
	}
	return rank
}
