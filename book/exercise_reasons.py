"""What lies behind the answer of each exercise: reasoning that holds whatever the run's numbers are."""

WHY = {
    "data": (
        "A Gaussian with full covariance needs more vectors than dimensions. Three clips have hundreds of frames, but "
        "frames of one clip resemble each other, so they say little about how clips differ. Therefore the target's "
        "covariance is drawn towards the source's ({eq}`prior`)."
    ),
    "baselines": (
        "A steady fault changes the mean spectrum. The Mahalanobis distance averages over time first, so that chance "
        "cancels out, and divides by how much normal clips differ in each direction; a network has to learn both. What "
        "an average cannot see is the order of the frames. Whether that decides here is not shown by these figures: "
        "compare kinds of faults, as {numref}`shifts-kinds` does."
    ),
    "autoencoder": (
        "The median ignores whatever lasts for less than half of the clip, the maximum everything but one frame, "
        "which in normal clips is often a chance event, too. So one would expect the best pooling to follow how long "
        "faults last. Where variants lie within a point of each other, no reason has to be sought."
    ),
    "classifier": (
        "The posterior says how surely a clip is no outlier, the distance how far it is from the normal centroid. If "
        "outliers are easily told apart, all clips of the section may have nearly the same posterior; then little "
        "weight on it is best. If much weight is best, outliers resemble faults more than distance does. Weights that "
        "lie within a point or two of each other need no reason."
    ),
    "ensembles": (
        "The systems lie closer together than their intervals are wide, so which is the best of many is mostly chance, "
        "and another half of the clips has another winner. A choice that differs is no proof that a fixed one is "
        "better: if all candidates are equally good, it does not matter which is taken."
    ),
    "one_model": (
        "One network has to serve two tasks with the parameters of one, and the ensemble averages out the chance of "
        "several trainings, which one network cannot. Separate encoders of the same size test the first: in "
        "{numref}`one-model-ablations` the shared encoder minus these is {{ ablated.two_encoders }} points, so sharing "
        "{{ ablated.two_encoders_verdict }}. The second would show over seeds: an interval over clips of one seed does "
        "not contain the chance of a training."
    ),
    "table1": (
        "The more systems a row selects from, the more the luck of its best one counts in *development*. Rows that "
        "select nothing keep their figure, so they rise when others lose their luck. *Fixed* rows also have other "
        "members and another normalisation."
    ),
    "audit": (
        "A harmonic mean of n cells changes by (mean/cell)²/n for each point that a cell changes: a low cell counts "
        "most. A system that is excellent on six machine types and at chance on one is punished for the one, "
        "and leaving out the lowest cells raises the mean most."
    ),
    "ablations": (
        "Of a hundred intervals at 95 % about five exclude zero although nothing has changed. The correction asks that "
        "none does so by chance, and its price is that real but small effects no longer show. Intervals of several "
        "scores of one training are not independent, so here it is stricter than it has to be."
    ),
    "claims": (
        "The uncertainty of a mean of n clips falls with the square root of n: half the width takes four times as many "
        "clips. The number assumes that the effect is what it seems here. An effect near zero asks for absurdly many "
        "clips, which says that it is too small to matter, if there is one at all."
    ),
}
"""by exercise, as in :data:`exercises.QUESTIONS`"""
