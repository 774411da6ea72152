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

	"actfleet/shard/store"
	"actfleet/trainer/state"
)

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
		if errs = append(errs, err); !errors.Is(err, ErrDamaged) && !errors.Is(err, store.ErrNotFound) {
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
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber() // a seed has 64 bits
		if err := d.Decode(&p); err != nil {
			return fmt.Errorf("%s in %s: %w: %v", name, c.Store, ErrDamaged, err)
		}
		if p.Format != ckptFormat {
			return c.foreign(name, fmt.Sprintf("format %d", p.Format))
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
func (c ckpts) open(ctx context.Context, key string, use func(data []byte) error) (err error) {
	o, err := c.Store.Open(ctx, key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	if m, ok := o.(store.Mapped); ok {
		m.Need(0, o.Size())
		return use(m.Bytes())
	}
	data := make([]byte, o.Size())
	if n, err := o.ReadAt(data, 0); err != nil && !(errors.Is(err, io.EOF) && n == len(data)) {
		return fmt.Errorf("read %s from %s: %w", key, c.Store, err)
	}
	return use(data)
}
