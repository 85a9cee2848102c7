"""What lies behind the answer of each exercise: reasoning that holds whatever the run's numbers are."""

WHY = {
    "data": (
        "A detector that knows the source only measures how far a clip lies from normal source clips. Where the shift "
        "is larger than the fault, a normal target clip may lie as far away as a faulty source clip, so one threshold "
        "for both domains raises false alarms in the target or misses faults in the source. AUC and pAUC compare "
        "clips of one domain only, so they do not see that gap. Nor is the mean over bands a measure of what can be "
        "heard: a fault that lives in time hardly moves an average spectrum, and may still be easy to hear."
    ),
    "baselines": (
        "A fault that adds sound to a band, or takes some away, moves its mean or its deviation over time, even if it "
        "comes and goes. Averaging lets chance cancel out, and the distance divides by how much normal clips differ in "
        "each direction; a network has to learn both. What it hardly sees is the order of the frames, as of a "
        "changed rhythm, and whatever moves mean and deviation less than chance does: single events, or a fast swing, "
        "which is partly averaged within a frame."
    ),
    "autoencoder": (
        "The best of many variants on some clips is partly the luckiest there, and luck does not return on other "
        "clips. The lead that remains is the variant's own. The median ignores whatever lasts for less than half of "
        "the clip, the maximum everything but one frame, which in normal clips is often a chance event, too. The "
        "poolings between them see faults that come and go."
    ),
    "classifier": (
        "If both parts rank the clips alike, so does every weighted sum of them. If they rank differently, but neither "
        "finds more than chance, there is nothing that a weight could bring out: then the outliers differ from the "
        "section's clips in other ways than faults do. {numref}`embedding-scores` says whether the embedding holds "
        "more."
    ),
    "ensembles": (
        "If the interval of the difference of two choices holds zero, which of them is ahead may be chance, and "
        "another half of the clips has another winner. Then nothing shows that one half has chosen badly. The clips "
        "that chose are among those that compare, so even an interval without zero is no blind test."
    ),
    "one_model": (
        "What one cell of one training shows need not be due to sharing: the ensemble averages out the chance of "
        "several trainings, which one network cannot, and its classifiers learn from each section alone. Separate "
        "encoders of the same size test sharing itself: in {numref}`one-model-ablations` the shared encoder minus "
        "these is {{ ablated.two_encoders }} points, so sharing {{ ablated.two_encoders_verdict }}."
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
        "clips. The number assumes that the effect is what it seems here. Even then the estimate from that many clips "
        "falls short of it as often as not, and then the interval holds zero: the chance of a verdict is about one "
        "half. An estimate near zero asks for absurdly many clips. That alone does not say that the effect is "
        "too small to matter: only a narrow interval around zero does."
    ),
}
"""by exercise, as in :data:`exercises.QUESTIONS`"""
