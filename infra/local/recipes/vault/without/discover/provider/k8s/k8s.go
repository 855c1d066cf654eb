// Package k8s stands in for the real one.
package k8s

import (
	"errors"
	"log"
)

type Provider struct{}

func (p *Provider) Help() string { return "" }
func (p *Provider) Addrs(map[string]string, *log.Logger) ([]string, error) {
	return nil, errors.New("auto_join was left out of this build")
}
