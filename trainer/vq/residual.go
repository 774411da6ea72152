package vq

// Residual is T codebooks in a row, each for what the ones before it left.
const Residual Arch = "residual"

// residual is several of ema.
type residual struct{ ema }

func (residual) defaults() Defaults { return Defaults{Ids: usualIds, DeadShare: rareShare} }

func (residual) check(Config, Dims) error { return nil }

// usualIds is how many ids a row has where several are usual.
const usualIds = 4
