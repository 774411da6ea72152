package shard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"

	"actfleet/shard/store"
)

// hashStep is how much of an object is passed at a time: one request of a bucket.
const hashStep = 4 << 20

// onePass reads an object once, from its beginning to its end, and takes its SHA-256 on the way. As an io.ReaderAt it
// serves the bytes it passes, so that who reads forwards fetches nothing twice; what lies behind the last piece is
// fetched again.
type onePass struct {
	object   store.Object
	mapped   store.Mapped  // nil for an object that is not in memory
	hash     hash.Hash     // nil if nobody asks
	progress func(n int64) // nil if nobody asks
	at       int64         // the first byte that was not passed yet
	needed   int64         // up to where the map was told that it is needed
	piece    []byte        // what was passed last; it ends there
	buf      []byte
}

func newOnePass(o store.Object, hashed bool, progress func(n int64)) *onePass {
	p := &onePass{object: o, progress: progress}
	if m, ok := o.(store.Mapped); ok && int64(len(m.Bytes())) == o.Size() {
		p.mapped = m
	}
	if hashed {
		p.hash = sha256.New()
	}
	return p
}

// pass goes on by at most n bytes.
func (p *onePass) pass(n int64) (err error) {
	n = min(n, hashStep, p.object.Size()-p.at)
	if p.mapped != nil {
		p.ahead()
		p.piece = p.mapped.Bytes()[p.at : p.at+n]
	} else if p.piece, err = p.fetch(n); err != nil {
		return err
	}
	p.at += n
	if p.hash != nil {
		p.hash.Write(p.piece)
	}
	if p.progress != nil {
		p.progress(n)
	}
	return nil
}

// ahead has the next bytes of a map read while others are hashed.
func (p *onePass) ahead() {
	if p.needed-p.at < hashStep {
		p.mapped.Need(p.at, 2*hashStep)
		p.needed = p.at + 2*hashStep
	}
}

func (p *onePass) fetch(n int64) ([]byte, error) {
	if p.buf == nil {
		p.buf = make([]byte, min(hashStep, p.object.Size()))
	}
	return p.buf[:n], readFull(p.object, p.buf[:n], p.at)
}

// reach passes what is left before off.
func (p *onePass) reach(ctx context.Context, off int64) error {
	for p.at < off {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := int64(hashStep)
		if p.mapped != nil { // while it is in the processor's cache
			n = off - p.at
		}
		if err := p.pass(n); err != nil {
			return err
		}
	}
	return nil
}

// sum passes the rest and returns the SHA-256 in hex.
func (p *onePass) sum(ctx context.Context) (string, error) {
	if err := p.reach(ctx, p.object.Size()); err != nil || p.hash == nil {
		return "", err
	}
	return hex.EncodeToString(p.hash.Sum(nil)), nil
}

// ReadAt passes what it must.
func (p *onePass) ReadAt(b []byte, off int64) (n int, err error) {
	for n < len(b) {
		at := off + int64(n)
		start := p.at - int64(len(p.piece))
		switch {
		case at < start || at >= p.object.Size():
			k, err := p.object.ReadAt(b[n:], at)
			return n + k, err
		case at < p.at:
			n += copy(b[n:], p.piece[at-start:])
		default:
			if err := p.pass(hashStep); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

var _ io.ReaderAt = (*onePass)(nil)
