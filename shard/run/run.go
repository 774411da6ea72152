package run

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"actfleet/shard"
	"actfleet/shard/store"
)

// ErrOtherPlan says that the run's directory holds another plan. The error is a *PlanMismatch.
var ErrOtherPlan = errors.New("the run has another plan")

// ErrPlan says that the bytes of a plan.json are not what a node wrote.
var ErrPlan = errors.New("the plan is damaged")

// maxPlan bounds plan.json and manifest.json: a million units take some 200 MB of manifest.
const maxPlan = 256 << 20

// CreatePlan puts the plan into a new run, or finds that it is there already (created is then false). Where another
// plan is there it returns a *PlanMismatch.
func CreatePlan(ctx context.Context, st store.Store, p Plan) (created bool, err error) {
	if err := p.Validate(); err != nil {
		return false, err
	}
	err = store.Put(ctx, st, KeyPlan, p.Bytes())
	if !errors.Is(err, store.ErrExists) {
		return err == nil, err
	}
	there, err := ReadPlan(ctx, st)
	if err != nil {
		return false, err
	}
	if !bytes.Equal(there.Bytes(), p.Bytes()) {
		return false, &PlanMismatch{Run: st.String(), Lines: p.Difference(there)}
	}
	return false, nil
}

// ReadPlan reads the plan of a run; store.ErrNotFound means that there is none.
func ReadPlan(ctx context.Context, st store.Store) (Plan, error) {
	data, err := store.Get(ctx, st, KeyPlan, maxPlan)
	if err != nil {
		return Plan{}, err
	}
	p, err := ParsePlan(data)
	if err != nil {
		return p, fmt.Errorf("read %s in %s: %w", KeyPlan, st, err)
	}
	return p, nil
}

// ParsePlan is the plan of a plan.json. Errors are ErrPlan, or shard.ErrSchema for one of a newer format.
func ParsePlan(data []byte) (p Plan, err error) {
	var head struct{ Format int }
	if json.Unmarshal(data, &head) == nil && head.Format > PlanFormat {
		return p, fmt.Errorf("%w: format %d, this program reads %d", shard.ErrSchema, head.Format, PlanFormat)
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return p, fmt.Errorf("%w: %w", ErrPlan, err)
	}
	if err := p.Validate(); err != nil {
		return p, fmt.Errorf("%w: %w", ErrPlan, err)
	}
	if !bytes.Equal(p.Bytes(), data) {
		return p, fmt.Errorf("%w: it was edited, its bytes are not canonical", ErrPlan)
	}
	return p, nil
}

// Committed tells for each unit whether it has, or in a ring had, a shard.
func Committed(ctx context.Context, st store.Store, p Plan) ([]bool, error) {
	if p.Ring == nil {
		return Readable(ctx, st, p)
	}
	s, err := LookRing(ctx, st, p)
	if err != nil {
		return nil, err
	}
	return s.Committed(), nil
}

// Readable tells for each unit whether its shard is there to be read.
func Readable(ctx context.Context, st store.Store, p Plan) ([]bool, error) {
	infos, err := st.List(ctx, actsPrefix)
	if err != nil {
		return nil, err
	}
	there := make([]bool, p.NumUnits())
	for _, info := range infos {
		if u, ok := ParseUnitKey(info.Key); ok && u < len(there) {
			there[u] = true
		}
	}
	return there, nil
}

// PlanMismatch says that a run holds another plan than the one asked for. It is an ErrOtherPlan.
type PlanMismatch struct {
	Run   string
	Lines []string // of Difference
}

// Error names the run and every difference.
func (e *PlanMismatch) Error() string {
	return fmt.Sprintf("%s holds another plan (give another directory, or the options it was started with): %s", e.Run, strings.Join(e.Lines, "; "))
}

// Unwrap is ErrOtherPlan.
func (e *PlanMismatch) Unwrap() error { return ErrOtherPlan }

// derived are the fields that others decide: a person who reads a difference can change only those.
var derived = []string{"batch_tokens", "data.input", "data.rows", "model.hidden", "model.layers", "model.max_positions", "scalars", "units", "vectors"}

// Difference lists what differs between this plan and that of a run, one line per field, such as
// "max_tokens: 128 here, 256 in the run". What follows from a difference in another field is left out.
func (p Plan) Difference(run Plan) []string {
	here, there := flatten(p), flatten(run)
	var lines, follow []string
	fields := maps.Clone(here)
	maps.Copy(fields, there)
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		a, b := here[field], there[field]
		if a == b {
			continue
		}
		line := fmt.Sprintf("%s: %s here, %s in the run", field, brief(orNone(a)), brief(orNone(b)))
		if slices.Contains(derived, field) {
			follow = append(follow, line)
		} else {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return follow
	}
	return lines
}

// orNone is the value of a field that a plan may leave out.
func orNone(value string) string { return cmp.Or(value, "none") }

// flatten turns a plan into its fields: dotted names and JSON values.
func flatten(p Plan) map[string]string {
	var tree map[string]json.RawMessage
	out := map[string]string{}
	if err := json.Unmarshal(p.Bytes(), &tree); err != nil {
		panic(err) // our own bytes
	}
	for name, value := range tree {
		var branch map[string]json.RawMessage
		if json.Unmarshal(value, &branch) != nil {
			out[name] = compactJSON(value)
			continue
		}
		for leaf, value := range branch {
			out[name+"."+leaf] = compactJSON(value)
		}
	}
	return out
}

func compactJSON(b []byte) string {
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		panic(err) // our own bytes
	}
	return out.String()
}

// brief shortens a long value for a message, and says how long it is so that two long values look different.
func brief(s string) string {
	const most = 70
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s… (%d characters)", s[:most], len(s))
}
