package main

import (
	"herosup/dispatch/actor"
	"herosup/dispatch/store"
)

func actorConfig(r roleFlags, s *store.Store, h actor.Handler) actor.Config {
	return actor.Config{Store: s, Name: r.name, Type: r.jobType, Handler: h, Concurrency: r.concurrency}
}
