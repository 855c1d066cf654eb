// Package okta stands in for the real SDK, which takes a tenth of the time that Vault takes to compile. Vault uses it for
// second factors of Okta's alone; here each of them ends with an error.
package okta

import (
	"context"
	"errors"
)

var errLeftOut = errors.New("Okta was left out of this build")

type Configuration struct{ Context context.Context }
type Option func(*Configuration)

func NewConfiguration(...Option) (*Configuration, error) { return nil, errLeftOut }
func WithToken(string) Option                            { return nil }
func WithOrgUrl(string) Option                           { return nil }
func WithCache(bool) Option                              { return nil }

type APIClient struct {
	UserAPI       users
	UserFactorAPI factors
}

func NewAPIClient(*Configuration) *APIClient   { return &APIClient{} }
func (c *APIClient) GetConfig() *Configuration { return &Configuration{Context: context.Background()} }

type users struct{}
type listUsers struct{}

func (users) ListUsers(context.Context) listUsers { return listUsers{} }
func (q listUsers) Filter(string) listUsers       { return q }
func (listUsers) Execute() ([]User, any, error)   { return nil, nil, errLeftOut }

type User struct{}

func (User) GetId() string { return "" }

type factors struct{}
type listFactors struct{}
type verifyFactor struct{}
type factorStatus struct{}

func (factors) ListFactors(context.Context, string) listFactors           { return listFactors{} }
func (factors) VerifyFactor(context.Context, string, string) verifyFactor { return verifyFactor{} }
func (factors) GetFactorTransactionStatus(context.Context, string, string, string) factorStatus {
	return factorStatus{}
}

func (listFactors) Execute() ([]Factor, any, error)      { return nil, nil, errLeftOut }
func (verifyFactor) Execute() (*Verified, any, error)    { return nil, nil, errLeftOut }
func (factorStatus) Execute() (*Transaction, any, error) { return nil, nil, errLeftOut }

type Factor struct{ UserFactorPush *UserFactorPush }
type UserFactorPush struct{}

func (*UserFactorPush) GetId() string { return "" }

type Verified struct{ Links map[string]any }

func (*Verified) GetFactorResult() string { return "" }

type Transaction struct {
	UserFactorPushTransaction         *struct{}
	UserFactorPushTransactionWaiting  *struct{}
	UserFactorPushTransactionRejected *struct{}
	UserFactorPushTransactionTimeout  *struct{}
}
