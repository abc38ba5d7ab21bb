package observer

import (
	"slices"
	"strings"
)

// Names of metrics whose better direction is known, the more telling first. A prefix such as val_ is passed over.
var (
	minimized = []string{
		"loss", "error", "error_rate", "log_loss", "logloss", "nll", "cross_entropy", "crossentropy", "perplexity", "brier",
		"brier_score", "rmse", "mse", "mae", "mape", "smape", "rmsle", "msle", "mean_squared_error", "mean_absolute_error",
		"wer", "cer", "fid", "hinge", "pinball", "deviance",
	}
	maximized = []string{
		"accuracy", "acc", "balanced_accuracy", "f1", "f1_score", "auc", "roc_auc", "auroc", "pr_auc", "auprc",
		"average_precision", "precision", "recall", "r2", "r2_score", "map", "ndcg", "mrr", "hit_rate", "iou", "miou", "dice",
		"kappa", "mcc", "bleu", "rouge", "reward", "return", "score", "win_rate",
	}
	prefixes = []string{"val_", "valid_", "validation_", "eval_", "test_", "train_", "training_"}
)

// goalOf is the goal that a metric's name tells, and how telling the name is: less is more, −1 is not at all.
func goalOf(metric string) (Goal, int) {
	name := strings.ToLower(metric)
	for _, p := range prefixes {
		name = strings.TrimPrefix(name, p)
	}
	if i := slices.Index(minimized, name); i >= 0 {
		return Minimize, i
	}
	if i := slices.Index(maximized, name); i >= 0 {
		return Maximize, len(minimized) + i
	}
	return Minimize, -1
}

// mainMetric is the metric that tells most by its name; of equals the shorter, then the first in the alphabet.
// Without one it is empty.
func mainMetric(metrics []Metric) (best string) {
	most := -1
	for _, m := range metrics {
		_, rank := goalOf(m.Name)
		if rank < 0 {
			continue
		}
		if most < 0 || rank < most || rank == most && (len(m.Name) < len(best) || len(m.Name) == len(best) && m.Name < best) {
			best, most = m.Name, rank
		}
	}
	return best
}
