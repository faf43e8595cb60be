package config

import "herosup/dispatch"

// Defaults are what jobs have whose submission does not say it, by type; those of "" are for all other types.
func (c *Config) Defaults() map[string]dispatch.Defaults {
	all := map[string]dispatch.Defaults{"": {Retries: c.Jobs.Retries, Timeout: c.Jobs.Timeout}}
	for _, p := range c.Pools {
		for _, t := range p.Serves() {
			all[t] = c.defaults(p)
		}
	}
	return all
}

func (c *Config) defaults(p Pool) dispatch.Defaults {
	d := dispatch.Defaults{Retries: c.Jobs.Retries, Timeout: c.Jobs.Timeout}
	if p.Retries != nil {
		d.Retries = *p.Retries
	}
	if p.Timeout != nil {
		d.Timeout = *p.Timeout
	}
	return d
}

// validateDefaults: a job is of a type, not of a pool, so the pools of one type have to say the same.
func (c *Config) validateDefaults(k *checker) {
	first := map[string]string{}
	for _, name := range sorted(c.Pools) {
		p := c.Pools[name]
		for _, t := range p.Serves() {
			other, second := first[t]
			if !second {
				first[t] = name
				continue
			}
			is, want := c.defaults(p), c.defaults(c.Pools[other])
			same := "the same as pools." + other + ", which has the type " + t + " too"
			k.want(is.Retries == want.Retries, "pools."+name+".retries", is.Retries, same)
			k.want(is.Timeout == want.Timeout, "pools."+name+".timeout", is.Timeout, same)
		}
	}
}
