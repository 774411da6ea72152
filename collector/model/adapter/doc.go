// Package adapter puts small learned changes around the linear maps of a loaded network, and at its sites.
//
// Vocabulary: a Set is one adapter: Modules, each the change of one linear map, named as the checkpoint names it; Steps,
// which change what a site holds; and Weights, whole parameters that stand in the place of the base's. A Kind is how a
// module's arrays change its map (kind.go has the equations). A Binding is a Set on a network: another network, which
// shares the base's weights.
//
// Guarantees: binding changes nothing of the network it is given, so what the base computes stays the same to the bit;
// arrays are fp32 and are computed with in fp32, whatever the type of the base's weights; an adapter on q_proj works where
// q, k and v are one matrix, or lie in it head by head; every array has the shape that the network's map asks for, is
// finite and is used (ErrMismatch, ErrCorrupt). Nothing in a folder is executed.
//
// Non-guarantees: no training. A Live binding computes everything from its tensors in each pass, so that a trainer may
// record and change them; any other computes once what does not depend on the input.
//
// Example:
//
//	set, err := adapter.Read("lies-ia3")
//	b, err := adapter.Bind(s, net, set, adapter.Fixed)
//	… b.Network.Block(s, i, x, c, emit) …
package adapter
