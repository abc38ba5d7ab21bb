"""Small scikit-learn trainings over JSON lines: {"training": name, "config": {…}} -> {"value": loss} or {"error": text}.

The first line out is {"sklearn": version}. All losses are of the half of the data that was not trained on,
smaller is better, and the same config has the same loss every time.
"""

import json
import sys
import warnings

import numpy as np
import sklearn
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR


def halves(data, size):
    """Two halves of the first rows, scaled to what the first half looks like."""
    x, y = data.data[:size], data.target[:size]
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.5, random_state=0)
    scaler = StandardScaler().fit(x_train)
    return scaler.transform(x_train), scaler.transform(x_test), y_train, y_test


CANCER, DIABETES, DIGITS = (
    halves(load_breast_cancer(), 569),
    halves(load_diabetes(), 442),
    halves(load_digits(), 400),
)


def svc(config):
    """Logistic loss of the margin of a support vector classifier of tumours."""
    x_train, x_test, y_train, y_test = CANCER
    model = SVC(max_iter=2000, random_state=0, **config).fit(x_train, y_train)
    margin = model.decision_function(x_test) * (2 * y_test - 1)
    return float(np.mean(np.logaddexp(0, -margin)))


def svr(config):
    """Mean squared error, in variances, of a support vector regression of diabetes."""
    x_train, x_test, y_train, y_test = DIABETES
    mean, deviation = y_train.mean(), y_train.std()
    model = SVR(max_iter=2000, **config).fit(x_train, (y_train - mean) / deviation)
    return float(np.mean((model.predict(x_test) - (y_test - mean) / deviation) ** 2))


def mlp(config):
    """Log loss of a small neural network that reads digits, after six epochs."""
    x_train, x_test, y_train, y_test = DIGITS
    config["hidden_layer_sizes"] = (config.pop("hidden"),)
    model = MLPClassifier(max_iter=6, random_state=0, **config).fit(x_train, y_train)
    p = model.predict_proba(x_test)[np.arange(len(y_test)), y_test]
    return float(-np.mean(np.log(np.maximum(p, 1e-6))))


TRAININGS = {"svc": svc, "svr": svr, "mlp": mlp}


def main():
    warnings.simplefilter("ignore")
    print(json.dumps({"sklearn": sklearn.__version__}), flush=True)
    for line in sys.stdin:
        try:
            request = json.loads(line)
            answer = {"value": TRAININGS[request["training"]](request["config"])}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
