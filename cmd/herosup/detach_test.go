package main

import (
	"strings"
	"testing"
)

func TestDetachedArgs(t *testing.T) {
	for given, want := range map[string]string{
		"up --detach":                                  "up |",
		"up --detach=true -f x --listen=h:1":           "up -f x --listen=h:1 |",
		"up --redis-url r://:p@h --detach --state s":   "up --state s | HEROSUP_UP_REDIS_URL=r://:p@h",
		"up --redis-url=r://:p@h?a=b --nats-url n://t": "up | HEROSUP_UP_REDIS_URL=r://:p@h?a=b HEROSUP_UP_NATS_URL=n://t",
		"up --detach --nats-url":                       "up --nats-url |", // which is refused there
	} {
		args, env := detachedArgs(strings.Fields(given))
		if got := strings.TrimSpace(strings.Join(args, " ") + " | " + strings.Join(env, " ")); got != want {
			t.Errorf("%s: %s", given, got)
		}
	}
}
