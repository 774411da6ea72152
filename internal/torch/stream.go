package torch

/*
#include "shim/shim.h"
*/
import "C"

import "unsafe"

// Stream is a queue of copies of a GPU, beside the one its operators are in.
type Stream struct {
	device Device
	id     int64
}

// NewStream is one of device d, a GPU. There are a few dozen, which are handed out again and again and never freed.
func (s *Scope) NewStream(d Device) *Stream {
	st := &Stream{device: d}
	check("NewStream", C.af_stream(C.int(d), (*C.int64_t)(&st.id)))
	return st
}

// on runs f with st as the current stream of its device on this OS thread.
func (st *Stream) on(f func()) {
	id := C.int64_t(st.id)
	check("Stream", C.af_stream_swap(C.int(st.device), &id))
	defer func() { check("Stream", C.af_stream_swap(C.int(st.device), &id)) }()
	f()
}

// Event is a point in a stream, to be waited for. The zero value is one that nothing has to wait for. It belongs to
// whoever made it, who frees it; it may be recorded anew.
type Event struct{ c unsafe.Pointer }

func (e *Event) record(d Device) { check("Event", C.af_event_record(&e.c, C.int(d))) }

func (e *Event) block(d Device) { check("Event", C.af_event_block(e.c, C.int(d))) }

// Wait returns when the device has come to e. Inside [Do], or on any thread.
func (e *Event) Wait() {
	if e.c != nil {
		check("Event.Wait", C.af_event_wait(e.c))
	}
}

// Free ends e. Freeing twice does nothing.
func (e *Event) Free() {
	if e.c != nil {
		C.af_event_free(e.c)
		e.c = nil
	}
}

// Pinned is memory of the host that stays where it is, so that a GPU copies from and to it at full speed and without
// the host's waiting; what it holds is not defined. Making it takes long: make it once.
func (s *Scope) Pinned(dtype Dtype, dims ...int64) *Tensor {
	t := new(Tensor)
	return s.made("Pinned", t, C.af_pinned(t.out(), sizes(dims), C.int(len(dims)), C.int(dtype)))
}

// Fetch begins to copy src, a tensor of st's device, into dst, [Scope.Pinned] memory of the same shape and type: on st,
// after all that is in the device's own stream so far. When done has been waited for, dst holds it; until then nobody
// may read or write dst. src may be freed at once.
func (s *Scope) Fetch(st *Stream, dst, src *Tensor, done *Event) {
	var computed Event
	defer computed.Free()
	computed.record(st.device)
	st.on(func() {
		computed.block(st.device)
		check("Fetch", C.af_copy_later(dst.raw("Fetch"), src.raw("Fetch")))
		check("Fetch", C.af_keep_on_stream(src.raw("Fetch")))
		done.record(st.device)
	})
}

// Upload begins to copy src, [Scope.Pinned] memory, into dst, a tensor of a GPU of the same shape and type, in the
// device's own stream: operators after it see it. Nobody may write src before done has been waited for.
func (s *Scope) Upload(dst, src *Tensor, done *Event) {
	check("Upload", C.af_copy_later(dst.raw("Upload"), src.raw("Upload")))
	done.record(dst.Device())
}
