"""Token credits: rules that set how much each token of a judged program weighs (configs/credit). One a file."""
