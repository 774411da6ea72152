package coordinator

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A node starts no unit from its limit on, and goes on as soon as the limit moves.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		cfg.Node, cfg.Units, cfg.PlanID = "n", 5, "plan"
		c, err := New(cfg, newLedger(5), Alone("n", "h", "plan", 5))
		if err != nil {
			t.Fatal(err)
		}
		c.Limit(2)
		started := make(chan int)
		go func() {
			for range 5 {
				u, err := c.Next(context.Background())
				if err != nil {
					t.Error(err)
				}
				started <- u
			}
		}()
		for limit := 2; limit <= 5; limit++ {
			c.Limit(limit)
			for range map[bool]int{true: 2, false: 1}[limit == 2] {
				if u := <-started; u >= limit {
					t.Errorf("unit %d was started, the limit is %d", u, limit)
				}
			}
			time.Sleep(time.Minute)
			select {
			case u := <-started:
				t.Errorf("unit %d was started, the limit is %d", u, limit)
			default:
			}
		}
	})
}
