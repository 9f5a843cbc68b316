"""The command line as its users meet it: good commands, wrong ones, and what either leaves behind."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path

import pytest

from digitcmp import __version__
from digitcmp.plugins.resolvers import run_name
from tests.conftest import MNIST_ROOT, ROOT, Ended, needs_mnist

Cli = Callable[..., Ended]
QUICK = ["epochs=1", "data.train_pairs=100", "data.test_pairs=100"]
PYTHON = [sys.executable, "-m", "digitcmp"]

BAD = {
    "model=wsm": "no such choice (did you mean wsn?); choose one of attention, auxmodel,",
    "aux_weight=-1": "aux_weight=-1: must be a finite number, at least 0",
    "aux_weight=nan": "aux_weight=nan: must be a finite number",
    "aux_weight=inf": "aux_weight=inf: must be a finite number",
    "aux_weight=0.5 model=net2": "aux_weight=0.5: net2 has no digit head",
    "model=splitnet aux_weight=0": "aux_weight=0: splitnet has a detached comparator: its digit part would never train",
    "model=decoder": "aux_weight=0: nothing would train decoder, whose answer follows from its digits; use aux_weight=1, or",
    "model=decoder aux_weight=1 optimizer.comparator_lr=0.5": "optimizer.comparator_lr=0.5: the comparator of decoder has no parameters",
    "model=net3 aux_weight=1 model.comparator.reads=posterior": "model.digit_head.reads=joint: model.comparator.reads=posterior compares",
    "model=decoder aux_weight=1 model.comparator.target=gt": "model.comparator.target=gt: the question is data.target=le",
    "model=decoder aux_weight=1 model.comparator.outputs=2": "model.comparator.reads=posterior: has no layer",
    "model=net3 aux_weight=1 model.digit_head.reads=digit model.comparator.reads=posterior": "nothing would read model.joint_dense",
    "model=net1 model.comparator.reads=posterior": "net1 has no digit head; set model.digit_head.reads to digit",
    "model.comparator.reads=posteriors": "choose one of features, digit_logits, digit_probabilities, posterior, feature",
    "model.comparator.temperature=0.5": "model.comparator.temperature=0.5: is for model.comparator.reads=posterior, not features",
    "model=decoder aux_weight=1 model.comparator.temperature=0": "model.comparator.temperature=0: must be a finite number, above 0",
    "ensemble=0": "ensemble=0: must be a whole number, at least 1",
    "columns=[slant]": "columns[0]=slant: choose one of plain, moments",
    "columns=[]": "columns=[]: name one or more of plain, moments, each once",
    "columns=[plain,plain] ensemble=2": "columns=[plain,plain]: name one or more of plain, moments, each once",
    "columns=moments": "columns: must be a list, as in columns=[A,B]",
    "columns=[plain,moments] ensemble=3": "columns=[plain,moments]: 3 networks cannot take turns at them; use ensemble=2",
    "tta_shift=-1": "tta_shift=-1: must be a finite number, at least 0, at most 7",
    "ema=1": "ema=1: must be a finite number, at least 0, below 1",
    "label_smoothing=1": "label_smoothing=1: must be a finite number, at least 0, below 1",
    "test_every=0": "test_every=0: must be a whole number, at least 1",
    "test_every=10000000000000000000000": "must be a whole number, at least 1, at most 9,007,199,254,740,992",
    "stack_size=10000000000000000000000 engine=stacked": "must be a whole number, at least 1, at most 9,007,199,254,740,992",
    "model.digit_dense.0.units=10": "model.digit_dense[0]: there is no such entry to be changed",
    "test_batch=0": "test_batch=0: must be a whole number, at least 1",
    "test_batch=1001": "test_batch=1001: there are 1000 pairs to be tested on; use at most so many",
    "test_batch=201 test=false data.val_pairs=200": "test_batch=201: there are 200 pairs to be tested on",
    "model=net4 model.batch_statistics=true": "model.batch_statistics=true: the answers depend on how many pairs are tested at a time",
    "model=net4 model.batch_statistics=true test_batch=333": "test_batch=333: data.test_pairs=1000 leaves a batch of one pair",
    "augment=elastic augment.displacement=-0.1": "augment.displacement=-0.1: must be a finite number, at least 0, at most 7",
    "augment=affine augment.rotation=181": "augment.rotation=181: must be a finite number, at least 0, at most 180",
    "ladder=01_net1": "ladder=01_net1: this group is added with a plus sign: +ladder=01_net1",
    "model.dropout=1.5": "model.dropout=1.5: must be a finite number, at least 0, below 1",
    "model=wosn model.weight_sharing=true": "model.joint=true, model.weight_sharing=true: a joint tower sees both digits",
    "model=net1 model.joint=true": "model.joint=true, model.weight_sharing=false: a joint tower sees both digits",
    "model=net1 model.weight_sharing=null": "model.weight_sharing=null: net1 looks at one digit at a time; choose true or false",
    "model.batchnorm=maybe": "model.batchnorm=maybe: must be true or false",
    "model.tower=[{channels:8,kernel:15}]": "model.tower[0]: nothing is left of the image",
    "model.tower=[{channels:8},{channels:6,groups:4}]": "model.tower[1]: groups=4 must divide the 8 channels that come in",
    "model.tower=[{channels:8,kernel:[3,3,3]}]": "model.tower[0].kernel=[3, 3, 3]: must be a whole number, or one for each",
    "model=mlp model.joint_dense=[]": "model=mlp: model.tower needs at least one layer, or model.digit_dense or model.joint_dense",
    "model.tower=[{kernel:3}]": "model.tower[0]: channels has no value; give it one, as in channels: 16 (1 channels of 14 x 14 come to it)",
    "model.tower=[{channels:8},{channels:8,kind:flatten}]": "model.tower[1].kind=flatten: leave it out; images are flattened",
    "aux_weight=[1,0.5]": "must be a number; for a run of each: --multirun aux_weight=1,0.5; weights of single heads are",
    "model.tower=[{channels:8,kind:resdual}]": "model.tower[0].kind=resdual: there is no such block that reads images (did you mean",
    "model.tower=[{channels:8,kind:residual,groups:2}]": "model.tower[0].groups=2: kind=residual has no such key; it has activation,",
    "model.tower=[{channels:8,drop:0.3,order:[layer,norm]}]": "model.tower[0].order has no drop",
    "model.tower=[{channels:8,order:[norm,norm]}]": "model.tower[0].order=[norm,norm]: name layer once",
    "model.tower=[{channels:8,drop:1.0}]": "model.tower[0].drop=1: must be a finite number, at least 0, below 1",
    "model.tower=[{channels:8,drop:often}]": "model.tower[0].drop=often: must be true, false or a number",
    "model.tower=[{channels:8,norm:other}]": "model.tower[0].norm=other: choose one of False, True, batch, group, layer, instance",
    "model.tower=[{channels:9,norm:group,norm_groups:2}]": "model.tower[0]: norm_groups=2 must divide the 9 channels",
    "model.tower=[{channels:8,kind:residual,kernel:2}]": "model.tower[0]: kernel=2 has no middle; use odd numbers",
    "model.tower=[{channels:6,kind:inception}]": "model.tower[0]: channels=6 must be a multiple of 4",
    "model.tower=[{channels:6,pool:20,pooling:adaptive_avg}]": "model.tower[0]: pool=20 is more than the 12 x 12 pixels",
    "model.joint_dense=[{units:8,relu:false,activation:tanh}]": "model.joint_dense[0].activation=tanh: model.joint_dense[0].relu=false",
    "model.joint_dense=[{units:8,norm:instance}]": "model.joint_dense[0]: norm: instance is for images",
    "model.own_dense=true model=net1": "model.own_dense=true: is for digits that share a tower",
    "model.shared_norm=true": "model.shared_norm=true: is for digits that have a tower each",
    "model.digit_head.hidden=[{units:3}]": "model.digit_head.hidden: there is no digit head that would have it",
    "model=wsn aux_weight=1 model.joint_dense=[{units:500},{units:10}]": "nothing would read model.joint_dense[0], as",
    "model.comparator.reads=digit_logits": "model.comparator.reads=digit_logits: net2 has no digit head",
    "model.comparator.outputs=3": "model.comparator.outputs=3: data.target=le needs 1 or 2",
    "model.comparator.outputs=4": "model.comparator.outputs=4: choose one of 1, 2, 3",
    "data.target=three": "model.comparator.outputs=1: data.target=three needs 3",
    "model=net3 aux_weight=1 model.comparator.reads=digit_argmax": "model.digit_head.reads=joint: model.comparator.reads=digit_argmax",
    "model=own_heads model.comparator.reads=digit_argmax": "aux_weight=0: own_heads has a detached comparator",
    "model=wosn model.comparator.reads=distance": "model.comparator.reads=distance: wosn has one joint tower, and no features",
    "model=net2 model.comparator.reads=distance": "nothing would read model.joint_dense[0], as model.comparator.reads=distance",
    "model=supervised": "aux_weight=0: nothing would train model.aux_heads of supervised; use aux_weight=1",
    "model=attention model.digit_dense=[{units:64},{kind:attention}]": "kind=attention: reads the features of two digits side by side",
    "model=attention model.joint_dense=[{units:64},{kind:attention}]": "kind=attention: reads the features of two digits side by side",
    "model=supervised aux_weight=1 model.aux_heads=[{after:3}]": "model.aux_heads[0].after=3: model.tower has 3 layers, counted from 0",
    "model=wosn aux_weight=1 model.aux_heads=[{after:0}]": "model.aux_heads: wosn has one joint tower",
    "loss.terms=[{loss:contrastiv}]": "loss.terms[0].loss=contrastiv: there is no such loss (did you mean contrastive?); there are",
    "loss.terms=[{loss:triplet,weight:-1}]": "loss.terms[0].weight=-1: must be a finite number, at least 0",
    "model=wosn loss.terms=[{loss:triplet}]": "loss.terms: wosn has one joint tower",
    "data.fold=1": "data.fold=1: data.val_pairs=0 of data.train_pairs=1000 are held out at a time; hold some out, as in data.val_pairs=100",
    "data.fold=10 data.val_pairs=100": "data.fold=10: data.val_pairs=100 of data.train_pairs=1000 are held out at a time; use at most 9",
    "data.folds=3": "data.folds=3: data.train_pairs=1000 are not so many equal parts; use a number that divides them",
    "data.folds=2000": "data.folds=2000: data.train_pairs=1000 are not so many equal parts",
    "data.folds=10 data.fold=10": "data.fold=10: data.val_pairs=100 of data.train_pairs=1000 are held out at a time; use at most 9",
    "data.folds=10 data.val_pairs=200": "data.val_pairs=200: data.folds=10 of data.train_pairs=1000 hold 100 out; leave it out",
    "data.folds=1": "data.folds=1: must be a whole number, at least 2",
    "stopping.patience=3": "stopping.patience=3: goes by the validation accuracy; hold pairs out for it, as in data.val_pairs=200",
    "stopping.best=true": "stopping.best=true: goes by the validation accuracy",
    "scheduler=plateau": "scheduler=plateau: goes by the validation accuracy",
    "optimizer.groups=[{part:towers}]": "optimizer.groups[0].part=towers: choose one of tower, digit_dense,",
    "optimizer.groups=[{part:digit_head}]": "optimizer.groups[0].part=digit_head: net2 has none that learns; choose one of comparator,",
    "optimizer.groups=[{part:tower},{part:tower}]": "optimizer.groups[1].part=tower: is in optimizer.groups[0]; choose one of comparator,",
    "loss.combine=mean": "loss.combine=mean: there is one loss alone; use aux_weight=1",
    "model=wsn aux_weight=1 loss.comparison=0": "loss.comparison=0.0: nothing would train the comparator of wsn",
    "loss.balance=true": "loss.balance=true: weighs answers of two or three logits",
    "epochs=0": "epochs=0: must be a whole number, at least 1",
    "batch_size=0": "batch_size=0: must be a whole number, at least 1",
    "batch_size=5000": "batch_size=5000: there are 1000 training pairs",
    "model=decoder data.target=three model.comparator.outputs=3": "data.target=three: model.comparator.reads=posterior tells two answers",
    "model=net4 data.train_pairs=1 batch_size=1": "data.train_pairs: there is 1 training pair, for which batch norm is not defined",
    "model=net4 batch_size=999": "batch_size=999: a batch of one pair is left of 1000 pairs",
    "seed=-1": "seed=-1: must be a whole number, at least 0",
    "seed=1.5": "seed=1.5: must be a whole number",
    "seed=1,2": "seed=1,2: several values are for many runs; did you mean: python -m digitcmp --multirun seed=1,2\n",
    "rounds=0": "rounds=0: must be a whole number, at least 1",
    "workers=0": "workers=0: must be a whole number, at least 1",
    "data.train_pairs=0": "data.train_pairs=0: must be a whole number, at least 1",
    "data.repair=true data.swap=true": "data.swap=true: data.repair=true makes new pairs in every epoch, in either order",
    "augment=blur": "augment",
    "augment=shift augment.pixels=-1": "augment.pixels=-1: must be a finite number, at least 0, at most 7",
    "augment=affine augment.scale=1": "augment.scale=1: must be a finite number, at least 0, below 1",
    "augment=elastic augment.grid=1": "augment.grid=1: must be a whole number, at least 2, at most 14",
    "data.val_pairs=1000": "data.val_pairs=1000: must leave some of data.train_pairs=1000",
    "test=false": "test=false: nothing would say how good the network is; hold out validation pairs, as in data.val_pairs=200",
    "data.target=less": "data.target=less: choose one of le, gt",
    "data.source=mnst": "data.source=mnst: choose one of digits, mnist",
    "optimizer.lr=abc": "optimizer.lr=abc: must be a number",
    "optimizer.lr=-0.1": "optimizer.lr=-0.1: must be a finite number, above 0",
    "optimizer=sgd optimizer.nesterov=true": "optimizer.nesterov=true: needs optimizer.momentum above 0",
    "optimizer=adam optimizer.momentum=0.9": "the chosen optimizer has no such key; it belongs to optimizer=sgd",
    "optimizer.betas=[0.9,1]": "optimizer.betas=[0.9, 1.0]: each must be at least 0 and below 1",
    "optimizer.algorithm=LBFGS": "optimizer.algorithm=LBFGS: choose one of SGD, Adam",
    "optimizer.algorithm=SGD": "optimizer.algorithm=SGD: it has keys of its own; choose optimizer=sgd, which has them",
    "optimizer=sgd optimizer.algorithm=AdamW": "optimizer.algorithm=AdamW: it has keys of its own; choose optimizer=adamw",
    "scheduler.shape=onecycle": "scheduler.shape=onecycle: it has keys of its own; choose scheduler=onecycle",
    "scheduler=cosine scheduler.shape=constant": "scheduler.shape=constant: it has keys of its own; choose scheduler=constant",
    "augment.kind=shift": "augment.kind=shift: it has keys of its own; choose augment=shift",
    "scheduler.shape=square": "scheduler.shape=square: choose one of constant, cosine, onecycle",
    "lerning_rate=1": "lerning_rate=1: there is no such key (did you mean optimizer.lr?)",
    "modle=wsn": "modle=wsn: there is no such key (did you mean model?)",
    "+model.foo=1": "model.foo=1: there is no such key",
    "+seed=1": "+seed: there is such a key; leave out the plus sign, as in seed=VALUE",
    "model.tower.stride=2": "model.tower.stride=2: model.tower is a list; say which of its entries is meant, as in model.tower.0",
    "model.pace=2": "model.pace=2: there is no such key; model has name, joint, weight_sharing, batchnorm,",
    "+model.pace=2": "model.pace=2: there is no such key; model has name, joint, weight_sharing, batchnorm,",
    "optimizer.foo=1": "optimizer.foo=1: there is no such key; optimizer has algorithm, lr, comparator_lr, weight_decay, clip, groups,",
    "data.dropout=0.2": "data.dropout=0.2: there is no such key (did you mean model.dropout?); data has source,",
    "auto.margins=1": "auto.margins=1: there is no such key (did you mean auto.margin?); auto has margin, batch, max, level",
    "+augment.pixels=1": "augment.pixels=1: the chosen augment has no such key; it belongs to augment=shift, augment=affine",
    "hydra.run.dri=x": "hydra.run.dri=x: there is no such key (did you mean hydra.run.dir?); hydra.run has dir",
    "~model.name": "~model.name: a key cannot be left out; give it another value, as in model.name=VALUE",
    "~foo": "foo: there is no such key",
    "data.slice=2": "; data has source, root, fingerprint,",
    "+foo=1": "foo=1: there is no such key",
    "+seeds=1": "seeds=1: there is no such key",
    "model=[net1,net2]": "model=[net1,net2]: a group takes one choice; for a run each: python -m digitcmp --multirun model=net1,net2",
    "+experiment=[net1,net2]": "a group takes one choice; for a run each: python -m digitcmp --multirun +experiment=net1,net2",
    "experiment=net4": "experiment=net4: this group is added with a plus sign: +experiment=net4",
    "+experiment=net5": "+experiment=net5: there is no such choice (did you mean net",
    "device=gpu": "device=gpu: choose one of auto, cpu, cuda",
    "engine=stack": "engine=stack: choose one of auto, serial, processes, stacked",
    "engine=serial workers=2": "workers=2: engine=serial has no workers",
    "engine=ray device=cuda": "device=cuda: the nodes of engine=ray train on a GPU with ray.gpus=1, else on a CPU; leave device=auto",
    "engine=ray ray.gpus=2": "ray.gpus=2: must be a finite number, at least 0, at most 1",
    "engine=ray ray.cpus=0": "ray.cpus=0: must be a whole number, at least 1",
    "nonsense": "nonsense: this is not KEY=VALUE",
    "model=net2,": "model=net2,: a value is missing beside a comma; did you mean: python -m digitcmp model=net2\n",
    "model=net1, wsn seed=1": "did you mean: python -m digitcmp --multirun model=net1,wsn seed=1\n",
    "model=net1,net2 seed=1": "several values are for many runs; did you mean: python -m digitcmp --multirun model=net1,net2 seed=1\n",
    "columns=plain,moments": "a list of one run has brackets; did you mean: python -m digitcmp 'columns=[plain,moments]'\n",
    "seed=range(3)": "seed=range(3): several values are for many runs; did you mean: python -m digitcmp --multirun 'seed=range(3)'\n",
    "model wsn rounds=2": "model: a key and its value are one word; did you mean: python -m digitcmp model=wsn rounds=2",
    "rounds=2 model = wsn": "model: a key and its value are one word; did you mean: python -m digitcmp rounds=2 model=wsn",
    "epochs": "epochs: a key needs a value, as in epochs=VALUE",
    "dry_run": "dry_run: a key needs a value, as in dry_run=true",
    "model= wsn rounds=2": "model= wsn: a key and its value are one word; did you mean: python -m digitcmp model=wsn rounds=2\n",
    "model==wsn": "model==wsn: one equals sign is enough; did you mean: python -m digitcmp model=wsn\n",
    "ls outputs": "ls: this is not KEY=VALUE; did you mean: python -m digitcmp.runs ls outputs\n",
    "my.yaml": "my.yaml: this is not KEY=VALUE, as in model=wsn or epochs=5; --help shows what there is\n",
    "seed=[1,2,3]": "seed=[1, 2, 3]: must be a whole number; for a run of each: --multirun seed=1,2,3\n",
    "+sweep=smoke": "sweep=smoke: there is no such key; did you mean +sweeps=smoke?\n",
    "experiments=net1": "experiments=net1: there is no such key; did you mean +experiment=net1?\n",
    "dataset=mnist": "dataset=mnist: there is no such key (did you mean data?)",
    "output=x": "output=x: there is no such key (did you mean hydra.run.dir?)",
    "hydra.run.dir=": "hydra.run.dir=: a folder needs a name; the working folder itself is hydra.run.dir=.\n",
    "seed=1,2 --multirun=true": "--multirun=true: this option takes no value; did you mean: python -m digitcmp seed=1,2 --multirun\n",
    "lr=0.1": "lr=0.1: there is no such key (did you mean optimizer.lr?)",
    "model:wsn": "model:wsn: a key and its value have an equals sign between them; did you mean: python -m digitcmp model=wsn",
    "seed=1..5": "seed=1..5: must be a whole number; for a run of each: --multirun 'seed=range(1,6)'",
    "multirun model=wsn": "multirun: this is not KEY=VALUE; did you mean: python -m digitcmp --multirun model=wsn",
    "help": "help: this is not KEY=VALUE; did you mean: python -m digitcmp --help",
    "train model=wsn": "train: this is not KEY=VALUE; did you mean: python -m digitcmp model=wsn",
    "list": "did you mean: python -m digitcmp --help",
    "sweep model=net1,net2": "did you mean: python -m digitcmp --multirun model=net1,net2",
    "report outputs": "did you mean: python -m digitcmp.report outputs",
    "+model=wsn": "+model=wsn: choose it without the plus sign: model=wsn",
    "model=1": "model=1: a group takes the name of a choice, as in model=net2",
    "model=null": "model=null: a group takes the name of a choice",
    "+experiment=null": "+experiment=null: a group takes the name of a choice",
    "model=[1,2]": "model=[1,2]: a group takes one choice",
    "hydra/launcher=null": "hydra/launcher=null: a group takes the name of a choice",
    "hydra.job.chdir=true": "hydra.job.chdir=true: relative paths, as of data, would lead elsewhere; leave it out: a run's",
    "~augment": "digitcmp: augment has no value; give it one, as in augment=CHOICE",
    "scheduler=restarts scheduler.growth=1e300": "scheduler.growth=1e+300: must be a finite number, at least 0.01, at most 100",
    "aux_weight=1e39": "aux_weight=1e+39: must be a finite number, at least 0, at most 1,000,000",
    "hydra.job.env_set.FOO=bar": "this key is added with a plus sign: +hydra.job.env_set.FOO=bar",
    "model=WSN": "model=WSN: there is no such choice (did you mean wsn?)",
    "epochs=${epohs}": "epochs: ${epohs}: there is no such key\n",
    "optimizer.lr=${oc.env:NO_SUCH_RATE}": "optimizer.lr: Environment variable 'NO_SUCH_RATE' not found\n",
    "hydra.run.dir=job${hydra.job.num}": "run.dir: ${hydra.job.num} has no value here; only jobs of a sweep have one (--multirun)\n",
}
BAD_FILES = {
    "name: a\ntower: [{chanels: 8}]": "mine.yaml: chanels: there is no such key in a layer of images (did you mean channels or drop_",
    "name: a\ndigit_dens: []": "model/mine.yaml: digit_dens: there is no such key in a network (did you mean digit_dense",
    "name: a\ndigit_dense: [{nrom: true}]": "model/mine.yaml: nrom: there is no such key in a layer of features (did you mean norm?)",
    "name: a\ncomparator: {zzz: 1}": "model/mine.yaml: zzz: there is no such key in comparator\n",
    "name: a\ntower: [{channels: many}]": "model/mine.yaml: Value 'many' of type 'str' could not be converted to Integer",
    "name: a\ntower: [": "mine.yaml, line 3: this is not YAML",
    "name: a\0": "mine.yaml: this is not YAML of KEY: VALUE lines (unacceptable character #x0000",
    "3": "mine.yaml: this is not YAML of KEY: VALUE lines (Invalid loaded object type: int)",
    "": "model.name has no value; give it one, as in model.name=VALUE",
    "defaults: [mine, _self_]": "model/mine.yaml: its defaults lead back to itself",
    "defaults: net2": "Invalid defaults list in 'model/mine'",
    "defaults: [net2, _self_]\nname: ${name}": "model.name: ${name}: there is no such key",
    "defaults: [net2, _self_]\nname: ${model.name}": "model.name",
    "defaults: [net2, _self_]\ntower: ${oc.env:HOME}": "str is not a ListConfig",
}


@pytest.mark.parametrize("arguments", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(arguments: str, run_cli: Cli, tmp_path: Path) -> None:
    """Exit code 1, one line that quotes the value and says what would be right, no traceback, no folder."""
    ended = run_cli(*arguments.split())
    assert ended.code == 1
    assert BAD[arguments] in ended.err
    assert ended.err.startswith("digitcmp: ")
    assert ended.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", BAD_FILES)
def test_a_mistake_in_a_yaml_file_is_named(text: str, run_cli: Cli, tmp_path: Path) -> None:
    """A stranger's own network with a wrong key, a wrong value, or no YAML at all: the file and what is wrong with it."""
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / "mine.yaml").write_text(text)
    ended = run_cli("--config-dir", "mine", "model=mine")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert BAD_FILES[text] in ended.err


def test_a_choice_that_lies_in_a_folder_here(run_cli: Cli, tmp_path: Path) -> None:
    """Nobody has said --config-dir: the error does, and what it says works."""
    (tmp_path / "my conf" / "model").mkdir(parents=True)
    (tmp_path / "my conf" / "model" / "mine.yaml").write_text("defaults: [net2, _self_]\nname: mine")
    ended = run_cli("model=mine", "dry_run=true")
    assert "model=mine: there is no such choice here, but my conf/model/mine.yaml is one: add --config-dir 'my conf'" in ended.err
    assert "model=minf: there is no such choice; choose one of" in run_cli("model=minf").err
    assert run_cli("model=mine", "dry_run=true", *shlex.split(ended.err.partition(": add ")[2])).code == 0


def test_no_gpu(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """device=cuda without a GPU says so before a folder is made."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    ended = run_cli("device=cuda")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "device=cuda: torch" in ended.err
    assert "finds no usable GPU here" in ended.err
    assert not list(tmp_path.iterdir())


def test_mnist_missing_without_network(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """data=mnist without files and network names the folder, the four files and the way out."""
    monkeypatch.setenv("DIGITCMP_DATA", str(tmp_path / "nothing"))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # a closed port: every download is refused at once
    ended = run_cli("data=mnist")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    for part in (str(tmp_path / "nothing"), "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte", "data=digits", "DIGITCMP_DATA"):
        assert part in ended.err
    assert not (tmp_path / "outputs").exists()


@needs_mnist
def test_mnist_damaged(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One truncated file among the four is named, and not used."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in (ROOT / MNIST_ROOT / "MNIST" / "raw").iterdir():
        (raw / file.name).symlink_to(file)
    labels = raw / "t10k-labels-idx1-ubyte"
    content = labels.read_bytes()
    labels.unlink()
    labels.write_bytes(content[:5000])
    monkeypatch.setenv("DIGITCMP_DATA", str(tmp_path))
    ended = run_cli("data=mnist")
    assert ended.code == 1
    assert f"{labels} is damaged or truncated (5000 bytes" in ended.err
    assert not (tmp_path / "outputs").exists()


@needs_mnist
def test_too_many_pairs_for_mnist(run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """40,000 training pairs need more images than there are."""
    monkeypatch.setenv("DIGITCMP_DATA", str(ROOT / MNIST_ROOT))
    ended = run_cli("data=mnist", "data.train_pairs=40000")
    assert ended.code == 1
    assert "data.train_pairs=40000: mnist has 60,000 train images, which make at most 30,000 pairs" in ended.err


def test_torch_and_torchvision_that_do_not_fit(run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The import error of a torchvision built for another torch becomes advice."""

    class Finder:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name.startswith("torchvision"):
                raise RuntimeError("operator torchvision::nms does not exist")

    for name in [name for name in sys.modules if name.startswith("torchvision")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    ended = run_cli("data=mnist", "data.root=elsewhere")
    assert ended.code == 1
    assert "do not fit together (operator torchvision::nms does not exist)" in ended.err
    assert "pip install" in ended.err


def test_unwritable_folder(run_cli: Cli, tmp_path: Path) -> None:
    """A run directory that cannot be made is named."""
    (tmp_path / "file").write_text("in the way")
    ended = run_cli(*QUICK, f"hydra.run.dir={tmp_path}/file/run")
    assert ended.code == 1
    assert f"cannot write or read {tmp_path}/file/run: Not a directory" in ended.err.splitlines()[-1]


@pytest.mark.parametrize("arguments", [["hydra.run.dir="], ["--multirun", "hydra.sweep.dir="]])
def test_a_path_that_is_too_long_is_one_short_line(run_cli: Cli, arguments: list[str]) -> None:
    """Of ten thousand characters, its beginning; Hydra has nothing to add."""
    *mode, folder = arguments
    ended = run_cli(*QUICK, *mode, folder + "y" * 10_000)
    assert ended.code == 1
    (line,) = ended.err.splitlines()
    assert line.startswith(f"digitcmp: {folder}yyy")
    assert "it has 10,000 characters" in line
    assert len(line) < 300


def test_a_log_in_the_way_is_one_line(run_cli: Cli, tmp_path: Path) -> None:
    """A folder of that name, for a single run and for a job of a sweep, whose other jobs are trained."""
    for folder in ("here", "sweep/0"):
        (tmp_path / folder / "digitcmp.log").mkdir(parents=True)
    ended = run_cli(*QUICK, "hydra.run.dir=here")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "here/digitcmp.log: Is a directory" in ended.err
    ended = run_cli("--multirun", *QUICK, "hydra.sweep.dir=sweep", "hydra.sweep.subdir='${seed}'", "seed=0,1", "engine=serial")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "sweep/0/digitcmp.log: Is a directory" in ended.err
    assert (tmp_path / "sweep" / "1" / "rounds.csv").exists()


def test_logs_can_be_switched_off(run_cli: Cli) -> None:
    """As Hydra offers it."""
    ended = run_cli(*QUICK, "hydra/job_logging=disabled", "hydra.run.dir=here")
    assert (ended.code, ended.err) == (0, "")


def test_hydra_adds_nothing_to_an_error(run_cli: Cli) -> None:
    """With its own launcher it prints a line before it raises the error of a job."""
    sweep = ["--multirun", *QUICK, "scheduler.shape=square,constant", "hydra.sweep.dir=sweep", "report=false"]
    ended = run_cli(*sweep, "hydra/launcher=basic")
    assert ended.code == 1
    assert ended.err.startswith("digitcmp: scheduler.shape=square: choose one of")
    assert ended.err.count("\n") == 1


def test_a_run_is_never_mixed_with_another_configuration(run_cli: Cli, tmp_path: Path) -> None:
    """Another configuration in the same folder is refused with the difference, and the first run's files stay as they were."""
    assert run_cli(*QUICK, "hydra.run.dir=here").code == 0
    before = (tmp_path / "here" / "rounds.csv").read_bytes()
    for dry_run in ("false", "true"):
        ended = run_cli(*QUICK, "batch_size=50", "hydra.run.dir=here", f"dry_run={dry_run}")
        assert ended.code == 1
        assert "here holds a run of another configuration (batch_size 100 -> 50)" in ended.err
        assert ended.err.count("\n") == 1
    assert (tmp_path / "here" / "rounds.csv").read_bytes() == before


def test_a_run_does_not_go_into_the_folder_of_a_sweep(run_cli: Cli, tmp_path: Path) -> None:
    """It would be in the sweep's report; the sweep that has all in its own folder goes on."""
    sweep = ["--multirun", *QUICK, "report=false", "hydra.sweep.dir=sweep"]
    assert run_cli(*sweep, "seed=1").code == 0
    before = sorted((tmp_path / "sweep").iterdir())
    for dry_run in ("false", "true"):
        ended = run_cli(*QUICK, "hydra.run.dir=sweep", f"dry_run={dry_run}")
        assert (ended.code, ended.err.count("\n")) == (1, 1)
        assert "hydra.run.dir=sweep: it is the folder of a sweep, with 1 run below it; choose another folder" in ended.err
    assert sorted((tmp_path / "sweep").iterdir()) == before
    for command in (["--multirun", *QUICK, "report=false", "hydra.sweep.dir=flat", "hydra.sweep.subdir=."], [*QUICK, "hydra.run.dir=flat"]):
        assert run_cli(*command).code == 0


def test_full_trace_on_request(tmp_path: Path) -> None:
    """HYDRA_FULL_ERROR=1 brings the traceback back."""
    env = {**os.environ, "HYDRA_FULL_ERROR": "1"}
    done = subprocess.run([*PYTHON, "model=wsm"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr


def test_a_round_that_diverges_is_on_record(run_cli: Cli, tmp_path: Path) -> None:
    """A loss that is no number: the round is recorded failed with its epoch, exit code 1, the files are there."""
    ended = run_cli(*QUICK, "optimizer=sgd", "optimizer.lr=1e30", "epochs=4", "hydra.run.dir=here")
    assert ended.code == 1
    assert re.search(r"1 of 1 round failed \(seed 0\): the (loss|network's outputs) became", ended.err)
    assert ended.err.count("\n") == 1
    rows = (tmp_path / "here" / "rounds.csv").read_text().splitlines()
    assert re.match(r"0,failed,\d,.*the (loss became (nan|inf)|network's outputs became infinite or nan) in epoch \d", rows[1])
    assert json.loads((tmp_path / "here" / "run.json").read_text())["status"] == "failed"


BAD_SWEEPS = {
    "seed=range(2),5": "seed=range(2),5: this sweep cannot be read; write KEY=1,2,5 or KEY=range(START,STOP,STEP)",
    "seed=range(0,9,0)": "seed=range(0,9,0): this sweep cannot be read",
    "seed=range(a)": "seed=range(a): mismatch type argument start: str is incompatible with",
    "seed=range(5,1)": "the sweep is empty",
    "model=glob(xyz*)": "the sweep is empty",
    "model=net1,": "model=net1,: a value is missing beside a comma; did you mean: python -m digitcmp --multirun model=net1 ",
    "model=net1,wsm": "model=wsm: there is no such choice (did you mean wsn?)",
    "aux_weight=interval(0,1)": "aux_weight=interval(0,1): this is for a search, unless its values are listed; did you mean: ",
    "seed=0,1 hydra.mode=RUN": "hydra.mode=RUN: this is for one run, and --multirun is for many; leave one of them out",
    "seed=0,1 +hydra.job.env_set.EP=2": "hydra.job.env_set.EP=2: the rounds of a sweep are trained together, in one environment; "
    "set variables in front of the command, as in: EP=2 python -m digitcmp --multirun …",
    "+sweeps=tabel1": "+sweeps=tabel1: there is no such choice (did you mean table1?)",
    "model.stride=2,3": "model.stride=2: there is no such key (did you mean model.tower.0.stride?); model has name,",
    "hydra.sweeper.foo=1": "hydra.sweeper.foo=1: there is no such key; hydra.sweeper has max_batch_size, params",
    "hydra/sweeper=digitcmp_optuna hydra.sweeper.n_trial=9": "hydra.sweeper.n_trial=9: there is no such key (did you mean hydra.sweeper",
    "hydra/sweeper=digitcmp_optuna +hydra.sweeper.foo=1": "hydra.sweeper.foo=1: there is no such key; hydra.sweeper has study",
    "hydra/sweeper=digitcmp_optuna hydra.sweeper.pruners.hyper.a=1": "hydra.sweeper.pruners.hyper: there is no such key",
}


@pytest.mark.parametrize("argument", BAD_SWEEPS)
def test_bad_sweeps_are_one_line(argument: str, run_cli: Cli, tmp_path: Path) -> None:
    """Sweep syntax that Hydra answers with an internal error, or with nothing at all."""
    ended = run_cli("--multirun", *argument.split(), "hydra.sweep.dir=sweep")
    assert ended.code == 1
    assert ended.err.startswith(f"digitcmp: {BAD_SWEEPS[argument]}")
    assert ended.err.count("\n") == 1
    assert not list(tmp_path.glob("sweep/*/*"))


@pytest.mark.parametrize("arguments", [["--help"], ["--help-keys"], ["model=wsm"], ["aux_weight=-1"], ["--cfg", "job"]])
def test_quick_answers_do_not_import_torch(arguments: list[str], tmp_path: Path) -> None:
    """Help and configuration errors never wait for torch (nor pandas, nor matplotlib)."""
    code = (
        "import sys; from digitcmp.cli import main\n"
        "try: main()\n"
        "finally: print('HEAVY', [name for name in ('torch', 'pandas', 'matplotlib', 'sklearn', 'optuna') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "HEAVY []" in done.stdout


def test_info_and_version(tmp_path: Path) -> None:
    """Hydra's own extras work: --info; --version is ours."""
    info = subprocess.run([*PYTHON, "--info", "defaults"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "model/net2" in info.stdout
    version = subprocess.run([*PYTHON, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert version.stdout.startswith(f"digitcmp {__version__} (Hydra 1.4")


def test_yaml_cannot_run_code(tmp_path: Path) -> None:
    """A configuration folder from elsewhere cannot make Hydra call what it likes."""
    folder = tmp_path / "conf" / "data"
    folder.mkdir(parents=True)
    (folder / "evil.yaml").write_text(
        "# @package _global_\nhydra: {callbacks: {evil: {_target_: os.system, command: 'touch owned'}}}\ndata: {source: digits}\n"
    )
    arguments = ["--config-dir", str(tmp_path / "conf"), "data=evil", *QUICK]
    done = subprocess.run([*PYTHON, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "os.system" in done.stderr
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_finished_rounds(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C between rounds, or the signal of a scheduler: its exit code, the finished rounds on disk, the run marked interrupted."""
    command = [*PYTHON, "engine=serial", "rounds=1000", "data.train_pairs=100", "data.test_pairs=100", "epochs=2", "hydra.run.dir=here"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    record = tmp_path / "here" / "rounds.csv"
    deadline = time.monotonic() + 120
    while not record.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "interrupted" in err
    assert "Traceback" not in err
    rows = record.read_text().splitlines()[1:]
    assert all(row.split(",")[1] == "done" for row in rows)
    assert len(rows) in range(1, 1000)
    assert json.loads((tmp_path / "here" / "run.json").read_text())["status"] == "interrupted"


def test_the_report_of_a_sweep_draws_the_curves_of_its_runs(run_cli: Cli, tmp_path: Path) -> None:
    """A sweep of a few runs: curves.png of each, drawn at its end; without a report none, until one is made."""
    sweep = ["--multirun", *QUICK, "seed=range(3)", "engine=serial", "hydra.sweep.dir=sweep"]
    assert run_cli(*sweep, "report=false").code == 0
    assert not list(tmp_path.glob("sweep/*/curves.png"))
    assert run_cli(*sweep).code == 0
    assert len(list(tmp_path.glob("sweep/*seed=*/curves.png"))) == 3


def test_curves_that_cannot_be_written_are_an_error(run_cli: Cli, tmp_path: Path) -> None:
    """Something in the way of a figure of a sweep's run: exit code 1 and one line that names it."""
    sweep = ["--multirun", *QUICK, "seed=range(2)", "engine=serial", "hydra.sweep.dir=sweep"]
    assert run_cli(*sweep, "report=false").code == 0
    (directory, _) = sorted(path.parent for path in tmp_path.glob("sweep/*/run.json"))
    (directory / "curves.png").mkdir()
    ended = run_cli(*sweep)
    assert ended.code == 1
    assert re.search(
        r"^digitcmp: cannot write sweep/.*seed=0.*/curves\.png: Is a directory; what was written before is kept$", ended.err, re.M
    )


def test_run_names_are_short_and_never_shared() -> None:
    """Folder names are readable; long or unusual ones end with a hash of the whole."""
    assert run_name("_", []) == ""
    assert run_name("_", ["model=wsn", "aux_weight=0.5"]) == "_model=wsn,aux_weight=0.5"
    assert run_name("", ["+experiment=net4", "+sweeps=smoke"]) == "experiment=net4"
    odd = [run_name("", [f"data.source={text}"]) for text in ("a/b", "a b", "a-b")]
    assert len(set(odd)) == 3
    assert all("/" not in name and " " not in name for name in odd)
    long = [run_name("", [f"model.tower=[{'x' * 300}{end}]"]) for end in "ab"]
    assert len(set(long)) == 2
    assert max(map(len, long)) <= 100


@pytest.mark.parametrize(
    "argument", ["+sweeps=table1", "+sweeps=search_smoke", "hydra.sweeper.max_batch_size=1", "hydra/sweeper=digitcmp_optuna"]
)
def test_what_makes_a_sweep_is_refused_without_multirun(run_cli: Callable[..., Ended], tmp_path: Path, argument: str) -> None:
    """It would train something else without a word; the corrected command is told, and nothing is left behind."""
    ended = run_cli(argument, "epochs=1")
    assert ended.code == 1
    assert ended.err.count("\n") == 1, ended.err
    line = ended.err.strip()
    assert line.startswith(f"digitcmp: {argument}: this is for many runs")
    assert line.endswith(f"python -m digitcmp --multirun {argument} epochs=1")
    assert not list(tmp_path.iterdir())


def test_a_fault_while_a_run_is_checked_trains_nothing(
    run_cli: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Hydra would turn it into a warning and go on; so would it with an interrupt that a library has turned into something else."""
    monkeypatch.setattr("digitcmp.experiment.executors.choose.preflight", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_cli("epochs=1")
    assert not list(tmp_path.iterdir())


def test_a_fault_in_the_report_is_not_exit_0(run_cli: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    """The rounds are kept; the error comes out."""
    monkeypatch.setattr("digitcmp.report.terminal.make_report", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_cli("--multirun", "epochs=1", "data.train_pairs=100", "data.test_pairs=100", "hydra.sweep.dir=sweep")


def test_a_report_that_cannot_be_written_is_not_exit_0(run_cli: Callable[..., Ended], tmp_path: Path) -> None:
    """summary is a file; and a damaged run beside the others takes nothing from their report."""
    sweep = ["--multirun", "epochs=1", "data.train_pairs=100", "data.test_pairs=100", "engine=serial", "rounds=2", "hydra.sweep.dir=sweep"]
    (tmp_path / "sweep" / "damaged").mkdir(parents=True)
    (tmp_path / "sweep" / "damaged" / "run.json").write_text("{}")
    (tmp_path / "sweep" / "summary").touch()
    refused = run_cli(*sweep, "model=net1,net2")
    assert refused.code == 1
    assert "sweep/summary" in refused.err.splitlines()[-1]
    (tmp_path / "sweep" / "summary").unlink()
    ended = run_cli(*sweep, "model=net1,net2")
    assert ended.code == 0, ended.err
    assert "damaged holds no run" in ended.out
    assert "net2" in (tmp_path / "sweep" / "summary" / "table.md").read_text()


def test_a_recipe_for_no_keys(run_cli: Cli, tmp_path: Path) -> None:
    """One whose first line does not say that its keys are those of the whole."""
    folder = tmp_path / "mine" / "experiment"
    folder.mkdir(parents=True)
    (folder / "long.yaml").write_text("epochs: 100\n")
    ended = run_cli("--config-dir", "mine", "+experiment=long")
    told = "experiment/long.yaml: its first line must be # @package _global_, so that what follows are keys of the whole configuration"
    assert (ended.code, ended.err) == (1, f"digitcmp: {told}\n")


def test_a_yaml_file_that_is_no_text(run_cli: Cli, tmp_path: Path) -> None:
    """One line that names it."""
    folder = tmp_path / "mine" / "experiment"
    folder.mkdir(parents=True)
    (folder / "bad.yaml").write_bytes(b"\xff\xfe\x00bad")
    ended = run_cli("--config-dir", "mine", "+experiment=bad")
    assert (ended.code, ended.err) == (1, f"digitcmp: {folder / 'bad.yaml'}: this is not UTF-8 text (invalid start byte)\n")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("!!int x", ", line 2: a value cannot be read (invalid literal for int"),
        ("!!timestamp 2020-99-01", ", line 2: a value cannot be read (month must be in 1..12)"),
        ("9" * 5000, ", line 2: a value cannot be read (Exceeds the limit"),
        ("[" * 900 + "]" * 900, ": a value has more lists or keys within each other than can be read"),
        ("{a: " * 120 + "1" + "}" * 120, ": a value has more lists or keys within each other than can be read"),
        ("[" * 5000 + "]" * 5000, ", line 2: this is not YAML (exceeded maximum nesting depth)"),
    ],
    ids=["int", "time", "digits", "lists", "keys", "many"],
)
def test_a_yaml_file_whose_values_cannot_be_read(run_cli: Cli, tmp_path: Path, value: str, told: str) -> None:
    """One line that names it, and no loop of defaults."""
    folder = tmp_path / "mine" / "model"
    folder.mkdir(parents=True)
    (folder / "bad.yaml").write_text(f"defaults: [net2]\ntower: {value}\n")
    ended = run_cli("--config-dir", "mine", "model=bad")
    assert ended.code == 1
    assert ended.err.startswith(f"digitcmp: {folder / 'bad.yaml'}{told}")
    assert ended.err.count("\n") == 1


class Stopped(datetime):
    """A clock that stands."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "Stopped":
        return cls(2026, 11, 22, 10, 30, tzinfo=tz)


@pytest.mark.parametrize("kind", ["run", "sweep"])
def test_begun_in_the_same_second(run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Whoever has named no folder has one of his own; a sweep goes on in it when it is named. A dry run, and what is refused, has none."""
    monkeypatch.setattr("hydra.core.utils.datetime", Stopped)
    many = ["--multirun", "report=false"] if kind == "sweep" else []
    command = [*many, *QUICK, "engine=serial"]
    for _ in range(2):
        assert run_cli(*command).code == 0
    name = "" if many else "_" + ",".join(QUICK)
    (day,) = (tmp_path / "outputs").iterdir()
    found = [f"10-30-00{name}", f"10-30-00-2{name}"]
    assert sorted(path.name for path in day.iterdir()) == sorted(found)
    assert len(list(day.rglob("run.json"))) == 2
    assert run_cli(*command, "dry_run=true").code == 0
    assert run_cli(*command, "device=cuda:77").code == 1
    assert run_cli(*command, "rounds=2", f"hydra.{kind}.dir='{day / found[1]}'").code == 0
    assert sorted(path.name for path in day.iterdir()) == sorted(found)
    assert run_cli(*command, "preview=true").code == 0
    assert sorted(path.name for path in day.iterdir()) == sorted([*found, f"10-30-00-3{name}-preview"])
