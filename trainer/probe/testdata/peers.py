"""Fits every kind of probe on the rows that TestPeers sends, with scikit-learn or a formula in numpy, and compares."""
import json
import sys

try:
    import numpy as np
    from scipy.optimize import minimize
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import BayesianRidge, LogisticRegression, Ridge
    from sklearn.metrics import roc_auc_score
    from sklearn.svm import LinearSVC
except ImportError as missing:
    print("not installed:", missing)
    sys.exit(77)

given = json.load(sys.stdin)
X = np.array(given["x"], dtype=np.float64).reshape(-1, given["d"])
Y, Q = np.array(given["y"]), np.array(given["q"])
SPLIT = np.array(given["split"])
TRAIN, TEST = SPLIT == "train", SPLIT == "test"
x, y, q = X[TRAIN], Y[TRAIN], Q[TRAIN]
n, d = x.shape
L2 = given["l2"]
mean, std = x.mean(0), x.std(0)
z = (x - mean) / std
t = np.where(y, 1.0, -1.0)
failed = []


def say(kind, what, value, limit):
    bad = not value <= limit
    print(f"{kind:14} {what:10} {value:.3g}{'  TOO MUCH' if bad else ''}")
    if bad:
        failed.append(kind)


def over_x(w):
    return w / std


def direction(kind, w, limit=1e-5):
    """1 − cosine of the weights, and the difference in AUROC on the test rows."""
    got = np.array(given["fits"][kind]["W"])
    say(kind, "1-cosine", 1 - got @ w / np.linalg.norm(got) / np.linalg.norm(w), limit)
    ours, theirs = roc_auc_score(Y[TEST], X[TEST] @ got), roc_auc_score(Y[TEST], X[TEST] @ w)
    say(kind, "ΔAUROC", abs(ours - theirs), 1e-3)


def raw(kind):
    """Weights and intercept over standardised features."""
    f = given["fits"][kind]
    w = np.array(f["W"])
    return w * std, f["B"][0] + w @ mean


def penalised(w, b, rho):
    loss = np.logaddexp(0, -t * (z @ w + b)).mean()
    return loss + L2 * (rho * np.abs(w).sum() + (1 - rho) / 2 * w @ w)


def regression(kind, rho):
    solver = dict(solver="lbfgs") if rho == 0 else dict(solver="saga")
    m = LogisticRegression(C=1 / (n * L2), l1_ratio=rho, tol=1e-9, max_iter=100000, random_state=0, **solver).fit(z, y)
    say(kind, "Δloss", penalised(*raw(kind), rho) - penalised(m.coef_[0], m.intercept_[0], rho), 1e-6)
    direction(kind, over_x(m.coef_[0]))
    return m


logistic = regression("logistic", 0)
regression("logistic_l1", 1)
regression("elastic_net", 0.5)

ridge = Ridge(alpha=n * L2).fit(z, t)
direction("ridge", over_x(ridge.coef_))
bayes = BayesianRidge().fit(z, t)
direction("bayes_ridge", over_x(bayes.coef_))


def hinge(v):
    short = np.maximum(0, 1 - t * (z @ v[:-1] + v[-1]))
    pull = -2 * t * short / n
    return (short**2).mean() + L2 / 2 * v[:-1] @ v[:-1], np.append(z.T @ pull + L2 * v[:-1], pull.sum())


TIGHT = dict(jac=True, method="L-BFGS-B", options=dict(maxiter=20000, ftol=1e-15, gtol=1e-9))
direction("svm", over_x(minimize(hinge, np.zeros(d + 1), **TIGHT).x[:-1]))
svc = LinearSVC(C=1 / (n * L2), dual=False, tol=1e-9, intercept_scaling=1000, max_iter=100000).fit(z, y)
direction("svm", over_x(svc.coef_[0]), 1e-3)

lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(x, y)
direction("lda", lda.coef_[0], 1e-8)
say("lda", "ΔP", np.abs(lda.predict_proba(X)[:, 1] - given["fits"]["lda"]["Proba"]).max(), 1e-4)

mu = [x[~y].mean(0), x[y].mean(0)]
theta = mu[1] - mu[0]
direction("mass_mean", theta, 1e-8)
within = x - np.where(y[:, None], mu[1], mu[0])
sigma = within.T @ within / n
value, vector = np.linalg.eigh(sigma)
keep = value > 1e-3
iid = (vector[:, keep] / value[keep]) @ vector[:, keep].T @ theta
direction("mass_mean_iid", iid, 1e-8)

gap = np.abs(z[y].mean(0) - z[~y].mean(0))
chosen = np.sort(np.argsort(-gap, kind="stable")[: given["k"]])
few = LogisticRegression(C=1 / (n * L2), tol=1e-9, max_iter=10000).fit(z[:, chosen], y)
w = np.zeros(d)
w[chosen] = few.coef_[0]
direction("k_sparse", over_x(w))

f = given["fits"]["mlp"]
h = len(f["W"])
inner, bias, outer = np.array(f["In"]).reshape(h, d), np.array(f["Bias"]), np.array(f["W"])
act = np.tanh(x @ inner.T + bias)
score = act @ outer + f["B"][0]
say("mlp", "ΔP", np.abs(1 / (1 + np.exp(-score)) - np.array(f["Proba"])[TRAIN]).max(), 1e-6)
pull = -t / (1 + np.exp(t * score)) / n
back = pull[:, None] * outer * (1 - act**2)
say("mlp", "gradient", max(np.abs(act.T @ pull + L2 * outer).max(), np.abs(back.T @ z + L2 * inner * std).max(), abs(pull.sum())), 1e-4)

w, b = raw("laplace")
p = 1 / (1 + np.exp(-(z @ w + b)))
one = np.hstack([z, np.ones((n, 1))])
hessian = one.T @ (one * (p * (1 - p))[:, None]) + n * L2 * np.diag(np.append(np.ones(d), 0))
all_one = np.hstack([(X - mean) / std, np.ones((len(X), 1))])
variance = np.einsum("ij,ij->i", all_one @ np.linalg.inv(hessian), all_one)
say("laplace", "Δvariance", np.abs(np.array(given["fits"]["laplace"]["Variance"]) / variance - 1).max(), 1e-6)
probit = 1 / (1 + np.exp(-(all_one @ np.append(w, b)) / np.sqrt(1 + np.pi / 8 * variance)))
say("laplace", "ΔP", np.abs(probit - given["fits"]["laplace"]["Proba"]).max(), 1e-6)

# TTPD as its authors write it: least squares for t_G, regressions for the polarity and for the two projections.
tau, polarity = t, np.where(q, 1.0, -1.0)
t_g = np.linalg.lstsq(np.stack([tau, tau * polarity], 1), x - mean, rcond=None)[0][0]
lr_q = LogisticRegression(C=1, tol=1e-9, max_iter=10000).fit(z, q)
two = np.stack([x @ t_g, x @ over_x(lr_q.coef_[0])], 1)
m2, s2 = two.mean(0), two.std(0)
last = LogisticRegression(C=1, tol=1e-9, max_iter=10000).fit((two - m2) / s2, y)
c = last.coef_[0] / s2
direction("ttpd", c[0] * t_g + c[1] * over_x(lr_q.coef_[0]))

pairs = {}
for i, name in enumerate(np.array(given["pair"])[TRAIN]):
    pairs.setdefault(name, {})[bool(q[i])] = i
plus = np.array([v[True] for v in pairs.values()])
minus = np.array([v[False] for v in pairs.values()])
delta = z[plus] - z[minus]
first = np.linalg.svd(delta, full_matrices=False)[2][0]


def oriented(w):
    w = over_x(w)
    return w if (x[y] @ w).mean() > (x[~y] @ w).mean() else -w


direction("lat", oriented(first))

# Ranking: the loss of the difference of scores that should be +1 or more.
sign = np.where(y[plus], 1.0, -1.0)
losses = {
    "rank_bce": lambda m: (np.logaddexp(0, -m), -1 / (1 + np.exp(m))),
    "rank_margin": lambda m: (np.maximum(0, 1 - m) ** 2, -2 * np.maximum(0, 1 - m)),
    "rank_mse": lambda m: (np.where(abs(m - 1) < 1, (m - 1) ** 2 / 2, abs(m - 1) - 0.5), np.clip(m - 1, -1, 1)),
}
for kind, loss in losses.items():
    def objective(w):
        value, slope = loss(sign * (delta @ w))
        return value.mean() + L2 / 2 * w @ w, delta.T @ (sign * slope) / len(sign) + L2 * w

    direction(kind, over_x(minimize(objective, np.zeros(d), **TIGHT).x))

# LEACE as the paper writes it: r = z − W⁺ P W z with W = Σ^(−1/2) and P the projection on W Σ_zq.
value, vector = np.linalg.eigh(z.T @ z / n)
keep = value > 1e-12 * value.max()
vector, value = vector[:, keep], value[keep]
white, back = (vector / np.sqrt(value)) @ vector.T, (vector * np.sqrt(value)) @ vector.T
u = white @ (z.T @ (q - q.mean()) / n)
u /= np.linalg.norm(u)
erase = np.eye(d) - back @ np.outer(u, u) @ white
r = z @ erase.T


def ccs(v):
    p = [1 / (1 + np.exp(-(r[side] @ v[:-1] + v[-1]))) for side in (plus, minus)]
    both, least = p[0] + p[1] - 1, np.minimum(*p)
    pull = [(2 * both + 2 * least * (p[k] == least)) * p[k] * (1 - p[k]) / len(plus) for k in (0, 1)]
    grad = r[plus].T @ pull[0] + r[minus].T @ pull[1] + 1e-3 * v[:-1]
    return (both**2 + least**2).mean() + 1e-3 / 2 * v[:-1] @ v[:-1], np.append(grad, pull[0].sum() + pull[1].sum())


rng = np.random.default_rng(0)
starts = [minimize(ccs, np.append(rng.normal(size=d) / np.sqrt(d), 0), **TIGHT) for _ in range(10)]
best = min(starts, key=lambda s: s.fun).x
direction("ccs", oriented(erase.T @ best[:-1]), 1e-3)

group = np.array(given["group"])[TRAIN]
names = list(dict.fromkeys(group[plus]))
means = {g: (r[plus][group[plus] == g].mean(0), r[minus][group[plus] == g].mean(0)) for g in names}
intra = sum(np.outer(v, v) for side, at in ((0, plus), (1, minus)) for i in at for v in [r[i] - means[group[i]][side]]) / 2 / len(plus)
a, b = (np.array([means[g][side] for g in names]) for side in (0, 1))
cross = (a - a.mean(0)).T @ (b - b.mean(0)) / len(names)
top = np.linalg.eigh(-0.5 * intra - 0.5 * (cross + cross.T) / 2)[1][:, -1]
direction("vinc", oriented(erase.T @ top), 1e-4)

left = set(given["fits"]) - {line for line in """logistic logistic_l1 elastic_net ridge bayes_ridge svm lda mass_mean
    mass_mean_iid k_sparse mlp laplace ttpd lat rank_bce rank_margin rank_mse ccs vinc""".split()}
if failed or left:
    sys.exit(f"differ: {failed}, not compared: {sorted(left)}")
