package main

import (
	"strings"
	"testing"
	"time"
)

// What is said of a processor and its BLAS, and when there is something to do.
func TestProductsFound(t *testing.T) {
	for name, c := range map[string]struct {
		p      productsFound
		says   string
		advise bool
	}{
		"good":        {productsFound{Unit: "AVX2", Core: 50e9, One: 45e9, Share: .9, All: 170e9, Cores: 4}, "fp32 45 GFLOP/s on one core, 0.90 of the 50 its AVX2 unit does; 170 on 4", false},
		"AMX used":    {productsFound{Unit: "AVX-512", Core: 200e9, One: 160e9, Share: .8, All: 320e9, Cores: 2, BF16: 1200e9, Native: "amx_bf16", Used: true}, "bf16 1.2e+03, by amx_bf16", false},
		"bf16 unused": {productsFound{Unit: "AVX-512", Core: 200e9, One: 160e9, Share: .8, All: 320e9, Cores: 2, BF16: 1e9, Native: "avx512_bf16"}, "bf16 1: this libtorch does not use the processor's avx512_bf16", false},
		"poor":        {productsFound{Unit: "AVX-512", Core: 200e9, One: 20e9, Share: .1, All: 40e9, Cores: 2}, "0.10 of the 200", true},
	} {
		if got := c.p.String(); !strings.Contains(got, c.says) {
			t.Errorf("%s: %q does not say %q", name, got, c.says)
		}
		if advice := c.p.advice(); (advice != "") != c.advise {
			t.Errorf("%s: advice %q", name, advice)
		}
	}
}

// The rates are those of the clock: every product takes as long, so shares are of the work of a measurement.
func TestLookProducts(t *testing.T) {
	at := time.Unix(0, 0)
	f := lookProducts(func() time.Time { at = at.Add(time.Second); return at })
	p := f.Products
	if !f.OK || p == nil || p.One != 2*256*256*256 || p.All != p.One || p.Core <= 0 || p.Share != p.One/p.Core || p.Cores < 1 || p.Unit == "" {
		t.Errorf("%+v, %+v", f, p)
	}
}

func TestSlowLink(t *testing.T) {
	for _, c := range []struct {
		g      gpuFound
		advise bool
	}{{gpuFound{}, false}, {gpuFound{ToHost: 25e9, ToDevice: 25e9}, false}, {gpuFound{ToHost: 25e9, ToDevice: 3e9}, true}} {
		if advice := c.g.linkAdvice(); (advice != "") != c.advise {
			t.Errorf("%+v: %q", c.g, advice)
		}
	}
}
