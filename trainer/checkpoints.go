package trainer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"actfleet/internal/mapped"
	"actfleet/shard/store"
	"actfleet/trainer/state"
)

// Place is where checkpoints are kept.
type Place struct {
	Store store.Store
	Dir   string // key of what they lie under; "" is the store itself
}

// String names the place for people.
func (p Place) String() string {
	return strings.TrimSuffix(strings.TrimSuffix(p.Store.String(), "/")+"/"+p.Dir, "/")
}

// ckptFormat is the version of checkpoints that this program writes and reads. Those of
// format 1 were folders.
const ckptFormat = 2

// ckpts are a training's checkpoints. One is the objects step-N.safetensors with the
// arrays, step-N.jsonl with the metrics so far where they lie outside the coder's folder,
// and step-N.json with the rest, which is written last and makes it whole: a store shows
// an object complete or not at all.
type ckpts struct {
	Place
	keep int
}

// The parts of a checkpoint.
const (
	arraysExt  = ".safetensors"
	metricsExt = ".jsonl"
	restExt    = ".json"
)

const stepPrefix = "step-"

func (c ckpts) key(step int, ext string) string {
	return path.Join(c.Dir, fmt.Sprintf("%s%08d%s", stepPrefix, step, ext))
}

// save writes a checkpoint, with metrics unless they are nil, and removes older ones but
// for those kept.
func (c ckpts) save(ctx context.Context, p progress, s *state.Set, metrics []byte) error {
	if err := c.write(ctx, p, s, metrics); err != nil {
		return fmt.Errorf("checkpoint of step %d: %w", p.Step, err)
	}
	if err := c.prune(ctx); err != nil {
		return fmt.Errorf("remove old checkpoints: %w", err)
	}
	return nil
}

func (c ckpts) write(ctx context.Context, p progress, s *state.Set, metrics []byte) error {
	if err := c.remove(ctx, p.Step); err != nil { // a damaged one, or a part of one
		return err
	}
	sum := sha256.New()
	if err := store.PutFrom(ctx, c.Store, c.key(p.Step, arraysExt), func(w io.Writer) error { return s.Encode(io.MultiWriter(w, sum)) }); err != nil {
		return err
	}
	if metrics != nil {
		if err := store.Put(ctx, c.Store, c.key(p.Step, metricsExt), metrics); err != nil {
			return err
		}
	}
	p.Format, p.SHA256 = ckptFormat, hex.EncodeToString(sum.Sum(nil))
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return store.Put(ctx, c.Store, c.key(p.Step, restExt), append(text, '\n'))
}

// remove removes a checkpoint, first what makes it whole.
func (c ckpts) remove(ctx context.Context, step int) error {
	for _, ext := range []string{restExt, metricsExt, arraysExt} {
		if err := c.Store.Delete(ctx, c.key(step, ext)); err != nil {
			return err
		}
	}
	return nil
}

// steps lists the checkpoints, the newest first, and the steps of which there is only
// a part. Something else under a checkpoint's name is ErrVersion.
func (c ckpts) steps(ctx context.Context) (whole, parts []int, err error) {
	infos, err := c.Store.List(ctx, path.Join(c.Dir, stepPrefix))
	if err != nil {
		return nil, nil, fmt.Errorf("list checkpoints: %w", err)
	}
	for _, i := range infos {
		var step int
		ext := path.Ext(i.Key)
		if n, _ := fmt.Sscanf(path.Base(i.Key), stepPrefix+"%d", &step); n != 1 || i.Key != c.key(step, ext) ||
			!slices.Contains([]string{arraysExt, metricsExt, restExt}, ext) {
			return nil, nil, c.foreign(i.Key, "an unknown file")
		}
		if ext == restExt {
			whole = append(whole, step)
		} else {
			parts = append(parts, step)
		}
	}
	slices.Sort(whole)
	slices.Reverse(whole)
	slices.Sort(parts)
	parts = slices.DeleteFunc(slices.Compact(parts), func(s int) bool { return slices.Contains(whole, s) })
	return whole, parts, nil
}

// prune removes what is older than the kept checkpoints, and what an interrupted write
// left.
func (c ckpts) prune(ctx context.Context) error {
	whole, parts, err := c.steps(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, step := range append(parts, whole[min(c.keep, len(whole)):]...) {
		errs = append(errs, c.remove(ctx, step))
	}
	return errors.Join(errs...)
}

// foreign is the error for what another version of this program wrote.
func (c ckpts) foreign(key, format string) error {
	return fmt.Errorf("%s in %s: %w (%s; this program reads format %d): go on with the program that wrote it, or begin anew elsewhere",
		key, c.Store, ErrVersion, format, ckptFormat)
}

// Errors of reading checkpoints.
var (
	// ErrDamaged says that a checkpoint is not what was written.
	ErrDamaged = errors.New("the checkpoint is damaged")
	// ErrVersion says that another version of the program wrote the checkpoint.
	ErrVersion = errors.New("the checkpoint is of another version")
)

// latest is the rest of the newest checkpoint, to see whose it is.
func (c ckpts) latest(ctx context.Context) (p progress, ok bool, err error) {
	return c.newest(ctx, func(step int) (progress, error) { return c.rest(ctx, step) })
}

// load fills s from the newest checkpoint. Without any, ok is false.
func (c ckpts) load(ctx context.Context, s *state.Set) (p progress, ok bool, err error) {
	return c.newest(ctx, func(step int) (progress, error) { return c.read(ctx, step, s) })
}

// newest reads the newest checkpoint, or the one before it when the newest is damaged.
func (c ckpts) newest(ctx context.Context, read func(step int) (progress, error)) (p progress, ok bool, err error) {
	whole, _, err := c.steps(ctx)
	if err != nil {
		return p, false, err
	}
	var errs []error
	for _, step := range whole {
		p, err := read(step)
		if err == nil {
			return p, true, nil
		}
		if errs = append(errs, err); !errors.Is(err, ErrDamaged) && !errors.Is(err, mapped.ErrLost) && !errors.Is(err, store.ErrNotFound) {
			break
		}
	}
	return p, false, errors.Join(errs...)
}

func (c ckpts) read(ctx context.Context, step int, s *state.Set) (progress, error) {
	p, err := c.rest(ctx, step)
	if err != nil {
		return p, err
	}
	name := c.key(step, arraysExt)
	err = c.open(ctx, name, func(data []byte) error {
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != p.SHA256 {
			return fmt.Errorf("%s in %s: %w: its hash is not the one that %s gives", name, c.Store, ErrDamaged, c.key(step, restExt))
		}
		return s.Decode(name, data)
	})
	return p, err
}

// rest reads step-N.json.
func (c ckpts) rest(ctx context.Context, step int) (p progress, err error) {
	name := c.key(step, restExt)
	err = c.open(ctx, name, func(text []byte) error {
		p, err = parseProgress(text)
		if err == nil && p.Step != step {
			err = fmt.Errorf("it is of step %d", p.Step)
		}
		switch {
		case errors.Is(err, errFormat):
			return c.foreign(name, fmt.Sprintf("format %d", p.Format))
		case err != nil:
			return fmt.Errorf("%s in %s: %w: %w", name, c.Store, ErrDamaged, err)
		}
		return nil
	})
	return p, err
}

// metrics are the lines of metrics.jsonl up to a checkpoint.
func (c ckpts) metrics(ctx context.Context, step int) (text []byte, err error) {
	err = c.open(ctx, c.key(step, metricsExt), func(data []byte) error {
		text = bytes.Clone(data)
		return nil
	})
	return text, err
}

// open gives an object's bytes to use.
func (c ckpts) open(ctx context.Context, key string, use func(data []byte) error) error {
	return store.View(ctx, c.Store, key, func(data []byte) error { return guarded(data, use) })
}

func guarded(data []byte, use func(data []byte) error) (err error) {
	defer mapped.Guard(&err)()
	return use(data)
}
