package arch

import (
	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
)

// vocabulary says where a network's embedding and output matrices lie; both are [Vocab, Hidden].
type vocabulary struct {
	embed, head string // names without ".weight"
	tied        bool   // one matrix may serve as both
	size, width int
}

// load reads both matrices. With tied set, the one that is absent is the other; when both are there,
// each is used as it is, as transformers 5 does. A head that is absent and not tied is nil: taps need none.
func (v vocabulary) load(s *torch.Scope, src *layer.Source) (embed, head *torch.Tensor, err error) {
	if v.tied && !src.Has(v.embed+".weight") && src.Has(v.head+".weight") {
		head, err = src.Tensor(s, v.head+".weight", v.size, v.width)
		return head, head, err
	}
	if embed, err = src.Tensor(s, v.embed+".weight", v.size, v.width); err != nil {
		return nil, nil, err
	}
	switch {
	case src.Has(v.head + ".weight"):
	case v.tied:
		return embed, embed, nil
	default:
		return embed, nil, nil
	}
	head, err = src.Tensor(s, v.head+".weight", v.size, v.width)
	return embed, head, err
}
