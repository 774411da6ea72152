package run

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"actfleet/shard/store"
)

// Ring makes a run a ring buffer: a shard is deleted once every reader has acknowledged it, and no unit is begun while
// Units others have a shard, or may get one, and stand before it.
type Ring struct {
	Bytes   int64    `json:"bytes"`   // that the shards may take together
	Units   int      `json:"units"`   // so many of the plan's fit into that, whatever their dtype becomes
	Rows    int64    `json:"rows"`    // of the whole run
	Readers []string `json:"readers"` // who must acknowledge every unit, ascending
}

// MinRingUnits is the least number of units in a ring. A reader needs three spans of units at once: the first one, which
// it holds to its end, the one it reads and the next.
const MinRingUnits = 3

func (r *Ring) check() error {
	switch {
	case r == nil:
		return nil
	case r.Bytes < 1 || r.Rows < 0 || len(r.Readers) == 0:
		return fmt.Errorf("plan: a ring needs bytes and readers, not %d and %q", r.Bytes, r.Readers)
	case r.Units < MinRingUnits:
		return fmt.Errorf("plan: a ring of %d bytes holds %d units: want at least %d; give it more", r.Bytes, r.Units, MinRingUnits)
	case !slices.IsSorted(r.Readers) || len(slices.Compact(slices.Clone(r.Readers))) < len(r.Readers):
		return fmt.Errorf("plan: the readers %q of a ring are not in ascending order, each once", r.Readers)
	}
	for _, name := range r.Readers {
		if store.CheckKey(name) != nil || strings.Contains(name, "/") || name == goneDir {
			return fmt.Errorf("plan: %q cannot be the name of a reader", name)
		}
	}
	return nil
}

// The keys of a ring.
const (
	ringPrefix = "ring/"
	goneDir    = "gone"
	endedName  = "ended.json"
)

// AckKey is the key with which a reader acknowledges unit u, "ring/<reader>/unit-000007.json".
func AckKey(reader string, u int) string {
	return fmt.Sprintf("%s%s/unit-%06d.json", ringPrefix, reader, u)
}

// EndedKey is the key with which a reader says that it needs no more of a ring.
func EndedKey(reader string) string { return ringPrefix + reader + "/" + endedName }

// GonePrefix is what the keys of tombstones begin with.
const GonePrefix = ringPrefix + goneDir + "/"

// GoneKey is the key of the tombstone of unit u's shard.
func GoneKey(u int) string { return AckKey(goneDir, u) }

// parseRingKey takes a key of a ring apart; u is -1 for EndedKey.
func parseRingKey(key string) (who string, u int, ok bool) {
	who, name, _ := strings.Cut(strings.TrimPrefix(key, ringPrefix), "/")
	if name == endedName {
		return who, -1, key == EndedKey(who)
	}
	n, err := fmt.Sscanf(name, "unit-%06d", &u)
	return who, u, err == nil && n == 1 && u >= 0 && key == AckKey(who, u)
}

// Tally counts rows and sums up a hash of their keys (prompt and position), so that two tallies are equal if the same
// rows were counted, each as often, in whatever order. It is no proof against whoever wants to deceive.
type Tally struct {
	Rows int64  `json:"rows"`
	Keys uint64 `json:"keys,string"` // sum of XXH64 over prompt and position, modulo 2⁶⁴
}

// Add counts a row.
func (t *Tally) Add(prompt int64, pos int32) {
	var key [12]byte
	binary.LittleEndian.PutUint64(key[:], uint64(prompt))
	binary.LittleEndian.PutUint32(key[8:], uint32(pos))
	t.Rows++
	t.Keys += xxhash.Sum64(key[:])
}

// Merge counts what another tally counted.
func (t *Tally) Merge(o Tally) {
	t.Rows += o.Rows
	t.Keys += o.Keys
}

// String shows a tally in a message.
func (t Tally) String() string { return fmt.Sprintf("%d rows with keys %016x", t.Rows, t.Keys) }

// Ack is what a reader puts when it has read every row of a unit for good.
type Ack struct {
	Reader string `json:"reader"`
	Unit   int    `json:"unit"`
	Tally
}

// Ended is what a reader puts when it needs no more of a ring: the units of which it has read a part, or nothing, are
// free as well.
type Ended struct {
	Reader string        `json:"reader"`
	Units  map[int]Tally `json:"units"` // read in part, and not acknowledged
}

// Tombstone is what is left of a shard that every reader has read.
type Tombstone struct {
	UnitFile
	Keys uint64 `json:"keys,string"` // of its Tally
}

// Tally is that of the shard's rows.
func (t Tombstone) Tally() Tally { return Tally{Rows: t.Rows, Keys: t.Keys} }
