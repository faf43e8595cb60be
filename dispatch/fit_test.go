package dispatch

import (
	"errors"
	"testing"
	"time"

	"herosup/dispatch/redistest"
	"herosup/events"
)

// A Redis that may throw jobs away is shouted about, at the start and when somebody sets it so later, and once
// again when it is fit.
func TestEvictionIsShoutedAbout(t *testing.T) {
	srv := redistest.Start(t, "--maxmemory-policy", "allkeys-lru")
	b := newBed(t, &redisServer{url: srv.URL()})
	b.cfg.CheckEvery = 20 * time.Millisecond
	b.up()
	bad := func(e events.RedisChecked) bool {
		return len(e.Findings) == 1 && e.Findings[0].Code == "eviction" && e.Findings[0].Hint != ""
	}
	fit := func(e events.RedisChecked) bool { return len(e.Findings) == 0 && e.Version != "" }
	expect(b, bad)
	set := func(policy string) {
		if err := b.rdb.ConfigSet(b.soon(), "maxmemory-policy", policy).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("noeviction")
	expect(b, fit)
	set("volatile-ttl")
	expectNth(b, 2, bad)
}

// An old Redis is refused by name, before anything is written to it. The stand-in says it is one: the real one here is
// not, and every other answer is its own.
func TestAnOldRedisIsRefused(t *testing.T) {
	srv := redistest.Start(t)
	p := redistest.NewProxy(t, srv.Addr())
	p.Rewrite([]byte("redis_version:7."), []byte("redis_version:5."))
	b := newBed(t, &redisServer{url: p.URL()})
	c := b.fresh()
	var old *ServerError
	if err := c.Run(b.soon()); !errors.As(err, &old) || old.Hint() == "" {
		t.Fatalf("Run: %v", err)
	}
	if n := b.rdb.DBSize(b.soon()).Val(); n != 0 {
		t.Errorf("%d keys were written to it", n)
	}
}

// A server that tells neither version nor settings is not judged.
func TestAServerThatSaysLittleIsTolerated(t *testing.T) {
	b := newBed(t, miniRedis(t))
	b.up()
	expect(b, func(e events.RedisChecked) bool { return len(e.Findings) == 0 })
}
