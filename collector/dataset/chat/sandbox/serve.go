package sandbox

import (
	"bufio"
	"encoding/gob"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"actfleet/collector/dataset"
	"actfleet/collector/dataset/chat"
	"actfleet/internal/memlimit"
)

// What a template may take: far more than one that is meant well does.
const (
	maxMemory = 512 << 20 // bytes that the child allocates
	maxStack  = 128 << 20 // of them for the stack of a goroutine
	maxText   = 64 << 20  // bytes of a rendered conversation
)

// request is a conversation, and whose words in it are looked for, if anyone's.
type request struct {
	Messages []dataset.Message
	Role     string
}

// reply is a rendered conversation and what the role says in it, or what is wrong.
type reply struct {
	Text, Error string
	Said        []dataset.Said
}

// Serve is the child: it reads a template and renders what it is asked for on in until that ends, which ends the process.
func Serve(in io.Reader, out io.Writer) error {
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGTERM) // they are for the owner, which ends this process
	debug.SetMaxStack(maxStack)
	if err := memlimit.Bound(maxMemory); err != nil {
		return err
	}
	dec, enc := gob.NewDecoder(bufio.NewReader(in)), gob.NewEncoder(out)
	var source chat.Source
	if err := dec.Decode(&source); err != nil {
		return fmt.Errorf("read the template: %w", err)
	}
	requests := make(chan request, 1)
	go listen(dec, requests)
	template, err := chat.Parse(source)
	if err := enc.Encode(answer(reply{}, err)); err != nil {
		return err
	}
	for r := range requests {
		var a reply
		if r.Role == "" {
			a.Text, err = template.Render(r.Messages)
		} else {
			a.Text, a.Said, err = template.Said(r.Messages, r.Role)
		}
		if err := enc.Encode(answer(a, err)); err != nil {
			return err
		}
	}
	return nil
}

// listen passes on requests until the owner's end, which ends the process too, in the middle of a loop if need be.
func listen(dec *gob.Decoder, requests chan<- request) {
	for {
		var r request
		if dec.Decode(&r) != nil {
			os.Exit(0)
		}
		requests <- r
	}
}

func answer(r reply, err error) reply {
	switch n := len(r.Text); {
	case err != nil:
		return reply{Error: err.Error()}
	case n > maxText:
		return reply{Error: fmt.Sprintf("%v: it makes a text of %d bytes, more than %d", chat.ErrTemplate, n, maxText)}
	}
	return r
}
