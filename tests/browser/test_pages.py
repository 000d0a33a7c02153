"""The widgets in a browser: they compute what PyTorch computes, offline and accessibly."""

import json
import re
from functools import partial

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from chromium import AXE, OVERFLOW, visit
from playwright.sync_api import Locator

import autorec_d2l as d2l
from autorec_d2l import experiments, widgets
from autorec_d2l.recommend import fold_in
from autorec_d2l.sparse import SparseAutoRec
from autorec_d2l.widgets.fragment import assemble
from autorec_d2l.widgets.recommender import to_bytes

DOCUMENT = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>x</title>
<meta name="viewport" content="width=device-width"></head><body><main><h1>x</h1>
{html}</main></body></html>"""


@pytest.fixture
def show(browser, tmp_path):
    """Return a function that opens widgets from the disk; the page must stay without fault."""
    opened = []

    def open_page(*fragments, **how):
        html = "\n".join(fragment.html for fragment in fragments)
        path = tmp_path / f"page{len(opened)}.html"
        path.write_text(DOCUMENT.format(html=html), encoding="utf-8")
        page, faults = visit(browser, path, **how)
        page.set_default_timeout(5000)
        opened.append((page, faults))
        return page

    yield open_page
    for page, faults in opened:
        assert page.evaluate(OVERFLOW) + faults == []
        page.context.close()


# The live recommender.


def small_network(num_items=30, num_hidden=4):
    """Return a user-based network whose weights matter, as those of training do."""
    generator = torch.Generator().manual_seed(0)
    means = 2.5 + 2 * torch.rand(num_items, generator=generator)
    net = SparseAutoRec(num_hidden, num_items, column_means=means)
    with torch.no_grad():
        for layer in (net.encoder, net.decoder):
            layer.weight.normal_(0, 0.4, generator=generator)
            layer.bias.normal_(0, 0.1, generator=generator)
    return net


def small_page(titles=None, **options):
    net = small_network()
    titles = titles or [f"Film number {item} ({1960 + item})" for item in range(1, 31)]
    return widgets.live_recommender(net, titles, torch.full((30,), 50), **options)


@pytest.fixture(scope="module")
def live(ml100k):
    """Return `(fragment, net, titles, counts)` of MovieLens, trained for three epochs."""
    data, *sizes = ml100k
    train_data, _ = d2l.split_data_ml100k(data, *sizes, seed=0)
    options = {"user_based": True, "subtract_means": True, "num_hidden": 100}
    fit = experiments.fit_autorec(train_data, None, sizes, 3, 0, **options, batch_size=64, lr=0.003)
    items = d2l.read_items_ml100k()
    titles = [f"{row.title} ({row.year})" for row in items.itertuples()]
    counts = torch.bincount(torch.tensor(train_data["item_id"].to_numpy()), minlength=1683)[1:]
    fragment = widgets.live_recommender(
        fit.net, titles, counts, examples={"A fan": {50: 5, 181: 4}}
    )
    return fragment, fit.net, items["title"], counts


OPTIONS = "#found [role=option]"
READERS = [
    {"Star Wars": (50, 5), "Empire Strikes Back": (172, 4), "Titanic": (313, 1)},
    {"Fargo": (100, 5), "Pulp Fiction": (56, 5)},
    {"Toy Story": (1, 2), "Sense and Sensibility": (275, 5), "Scream": (288, 1), "Alien": (183, 3)},
]


def answers(page):
    """Return the list as it is read: titles and stars."""
    rows = page.locator(".top li").all()
    titles = [row.locator(".film").evaluate("e => e.firstChild.textContent") for row in rows]
    return titles, [float(row.locator(".guess").inner_text().split()[0]) for row in rows]


def by_pointer(page, words, stars, press):
    press(page.get_by_role("combobox", name="Search"))
    page.keyboard.type(words)
    press(page.locator(OPTIONS).first)
    press(page.locator(".rated li").first.get_by_label(f"{stars} star").first)


by_mouse, by_touch = (
    partial(by_pointer, press=Locator.click),
    partial(by_pointer, press=Locator.tap),
)


def by_keyboard(page, words, stars):
    while page.evaluate("focused().getAttribute('role')") != "combobox":
        page.keyboard.press("Shift+Tab")
    page.keyboard.type(words)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")  # leads to the first star
    page.keyboard.press("Space")
    for _ in range(stars - 1):
        page.keyboard.press("ArrowRight")


FOCUSED = (
    "window.focused = () => { let e = document.activeElement; "
    "while (e.shadowRoot?.activeElement) e = e.shadowRoot.activeElement; return e; }"
)


@pytest.mark.parametrize(
    ("rate", "how", "reader"),
    [
        (by_mouse, {}, READERS[0]),
        (by_keyboard, {}, READERS[1]),
        (by_touch, {"width": 390, "has_touch": True}, READERS[2]),
    ],
)
def test_the_list_is_that_of_pytorch(live, show, rate, how, reader):
    fragment, net, titles, counts = live
    page = show(fragment, **how)
    page.evaluate(FOCUSED)
    page.keyboard.press("Tab")
    for words, (_, stars) in reader.items():
        rate(page, words, stars)
    page.get_by_label("Sort by").select_option("stars")
    shown, stars = answers(page)
    everything = fold_in(net, dict(reader.values()), 2000, counts, min_ratings=20)
    expected = everything[:10]
    np.testing.assert_allclose(stars, expected["stars"].clip(1, 5), atol=0.02)
    exact = dict(zip(titles[everything["item_id"] - 1], everything["stars"], strict=True))
    for ours, theirs in zip(shown, expected["stars"], strict=True):
        assert abs(exact[plain(ours)] - theirs) < 0.02  # neighbours may swap places


def plain(shown):
    """Return a title of the page as in the data: "Third Man, The" for "The Third Man (1949)"."""
    title = re.sub(r" \(\d{4}\)$", "", shown)
    return re.sub(r"^(The|A|An|Das|Der|Die|Il|La|Le|Les|L'|El) (.*)$", r"\2, \1", title)


def test_the_page_computes_its_quantised_network_exactly(live, show):
    fragment, net, _, counts = live
    page = show(fragment)
    kept = (counts >= 20).nonzero().squeeze(1)
    small = widgets.quantised(net)
    place = {item + 1: index for index, item in enumerate(kept.tolist())}
    for reader in ({}, *READERS):
        ratings = dict(reader.values())
        stars = page.evaluate(
            "ratings => [...document.querySelector('[data-fragment]').recommender.network"
            ".predict(ratings)]",
            [[place[item], stars] for item, stars in ratings.items()],
        )
        everything = fold_in(small, ratings, 2000, counts, 20)
        theirs = [stars[place[item]] for item in everything["item_id"]]
        np.testing.assert_allclose(theirs, everything["stars"], atol=1e-4)


def test_quantisation_changes_the_rmse_little(live, ml100k):
    _, net, *_ = live
    data, *sizes = ml100k
    train_data, test_data = d2l.split_data_ml100k(data, *sizes, seed=0)
    matrix = experiments.rating_matrix(train_data, sizes, user_based=True)
    unseen = experiments.rating_matrix(test_data, sizes, user_based=True)
    rows = d2l.load_array((matrix,), 1000, is_train=False)
    full, small = (
        d2l.sparse.evaluator_sparse(one, rows, unseen, [torch.device("cpu")])
        for one in (net, widgets.quantised(net))
    )
    assert full < 1
    assert abs(small - full) < 0.005


def test_quantisation_rounds_to_the_nearest_level():
    weight = torch.cat([torch.randn(50, 7), torch.zeros(1, 7)])
    levels, scale = to_bytes(weight)
    assert levels.dtype == torch.int8
    assert ((levels * scale[:, None] - weight).abs() <= scale[:, None] / 2 + 1e-7).all()


def test_the_reasons_are_the_differences_without_each_rating(show):
    page = show(small_page())
    net = widgets.quantised(small_network())
    ratings = {3: 5, 7: 1, 20: 4}
    reasons = page.evaluate(
        "ratings => document.querySelector('[data-fragment]').recommender.network"
        ".reasons(ratings, [10])[0]",
        [[item - 1, stars] for item, stars in ratings.items()],
    )

    def stars_of_10(given):
        table = fold_in(net, given, 30)
        return table.set_index("item_id").loc[11, "stars"]

    moved = {
        item - 1: stars_of_10(ratings)
        - stars_of_10({i: r for i, r in ratings.items() if i != item})
        for item in ratings
    }
    assert {reason["item"] for reason in reasons} == set(moved)
    for reason in reasons:
        assert reason["moved"] == pytest.approx(moved[reason["item"]], abs=1e-4)
    sizes = [abs(reason["moved"]) for reason in reasons]
    assert sizes == sorted(sizes, reverse=True)


def test_examples_remove_and_clear(show):
    page = show(small_page(examples={"Somebody": {1: 5, 2: 3}}))
    untouched = answers(page)
    page.get_by_role("button", name="Somebody").click()
    assert page.locator(".title", has_text="Raised most by your 2 ratings").is_visible()
    assert page.get_by_role("radio", name="5 stars").first.is_checked()
    assert answers(page) != untouched
    page.get_by_role("button", name="Remove Film number 2 (1962)").click()
    assert page.locator(".title", has_text="Raised most by your 1 rating").is_visible()
    page.get_by_role("button", name="Clear").click()
    assert answers(page) == untouched
    page.keyboard.type("number 7")  # the search field has the focus
    assert page.locator(OPTIONS).all_inner_texts() == ["Film number 7 (1967)"]


def test_once_rated_the_films_raised_most_come_first_unless_the_reader_sorts(show):
    page = show(small_page(examples={"Somebody": {1: 5, 2: 1}}))
    order = page.get_by_label("Sort by")
    hint = page.get_by_text("Search for films that you know")
    assert (order.input_value(), hint.is_visible()) == ("stars", True)
    page.get_by_role("button", name="Somebody").click()
    assert (order.input_value(), hint.is_visible()) == ("lift", False)
    net, stars = widgets.quantised(small_network()), answers(page)[1]
    mine, all_of_us = (
        fold_in(net, given, 30).set_index("item_id")["stars"] for given in ({1: 5, 2: 1}, {})
    )
    lift = (mine - all_of_us).sort_values(ascending=False)[:10]
    moved = [float(text.replace("−", "-")) for text in page.locator(".moved").all_inner_texts()]
    np.testing.assert_allclose(moved, lift, atol=0.006)
    np.testing.assert_allclose(stars, mine[lift.index].clip(1, 5), atol=0.006)
    order.select_option("stars")
    assert page.locator(".title", has_text="Your top ten, from 2 ratings").is_visible()
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Somebody").click()
    assert order.input_value() == "stars"


def test_digits_rate(show):
    page = show(small_page())
    page.get_by_role("combobox", name="Search").fill("number 3")
    page.keyboard.press("Enter")
    for stars in (4, 2):
        page.keyboard.press(str(stars))
        assert page.get_by_role("radio", name=f"{stars} stars").is_checked()
        assert page.locator("fieldset").get_attribute("data-stars") == str(stars)
    page.keyboard.press("6")
    assert page.get_by_role("radio", name="2 stars").is_checked()


def test_a_rated_film_takes_one_line_however_long_its_title(show):
    titles = [f"A film whose title is far longer than one line, number {i}" for i in range(30)]
    page = show(small_page(titles, examples={"Somebody": {1: 5, 2: 3}}), width=390)
    page.get_by_role("button", name="Somebody").click()
    assert page.locator(".rated li").evaluate_all("all => all.every(e => e.offsetHeight < 45)")


def test_the_least_number_of_ratings(show):
    counts = torch.tensor([300] * 12 + [25] * 18)
    titles = [f"Film number {item}" for item in range(1, 31)]
    examples = {"Somebody": {1: 5, 2: 1}}
    page = show(widgets.live_recommender(small_network(), titles, counts, examples=examples))
    page.get_by_role("button", name="Somebody").click()
    page.get_by_label("At least").select_option("200")
    assert {int(title.split()[-1]) for title in answers(page)[0]} == set(range(3, 13))


def test_search(show):
    titles = [
        "Third Man, The (1949)",
        "Amélie",
        "Man of No Importance, A",
        *"abcdefghijklmnopqrstuvwxyza",
    ]
    page = show(small_page(titles))
    box = page.get_by_role("combobox", name="Search")

    def found(words):
        box.fill(words)
        return page.locator(OPTIONS).all_inner_texts()

    assert found("third MAN") == ["The Third Man (1949)"]
    assert found("the th") == ["The Third Man (1949)"]
    assert found("amelie") == ["Amélie"]
    assert found("man") == ["The Third Man (1949)", "A Man of No Importance"]
    assert found("no such film") == []
    assert box.get_attribute("aria-expanded") == "false"
    found("man")
    page.keyboard.press("ArrowUp")
    chosen = page.locator(f"{OPTIONS}[aria-selected=true]")
    assert chosen.inner_text() == "A Man of No Importance"
    assert box.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
    page.keyboard.press("Escape")
    assert page.locator(OPTIONS).count() == 0
    box.fill("third")
    page.keyboard.press("Enter")
    assert page.locator("legend").all_inner_texts() == ["The Third Man (1949)"]


HOSTILE = [
    '<img src=x onerror="window.broken = 1">',
    "</script><script>window.broken = 2</script>",
    "<!-- <script> ]]> &amp; &lt;b&gt;",
    "\"double\" 'single' `tick` \\ ${window.broken = 3}",
    "line\u2028separator\u2029 and \u0000 nul",
    "危险的标题 🎬",
]


def test_titles_are_text(show):
    titles = HOSTILE + [f"Film {item}" for item in range(24)]
    network = small_page(titles, examples={HOSTILE[0]: {1: 5, 2: 4, 3: 3, 4: 2, 5: 1, 6: 1}})
    page = show(network)
    page.get_by_role("button", name="onerror").click()
    assert page.locator("legend").all_text_contents() == HOSTILE
    page.get_by_role("combobox", name="Search").fill("img")
    assert HOSTILE[0] in page.locator(OPTIONS).first.text_content()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Clear").click()
    assert page.evaluate("window.broken") is None
    assert page.locator("img").count() == 0


def test_fragments_do_not_clash(show):
    fragment, widget = small_page(examples={"Somebody": {1: 5}}), widgets.training_widget()
    page = show(
        fragment, widget, fragment, widget, small_page(titles=[f"Other {i}" for i in range(30)])
    )
    buttons = page.get_by_role("button", name="Somebody")
    assert buttons.count() == 2
    buttons.nth(1).click()
    assert page.locator("legend").count() == 1
    regions = page.get_by_role("region", name="Live recommender")
    assert regions.nth(0).locator(".title", has_text="Everybody").is_visible()
    assert regions.nth(1).locator(".title", has_text="by your 1 rating").is_visible()
    page.get_by_role("button", name="One step").nth(1).click()
    steps = page.locator("[data-fragment^=training]").evaluate_all(
        "all => all.map(e => e.training.net.steps)"
    )
    assert steps == [0, 1]
    status = page.get_by_role("status").filter(has_text="by your 1 rating")  # for screen readers
    status.wait_for()
    assert answers(regions.nth(1))[0][0] in status.inner_text()


# The small network that trains.

STATE = "document.querySelector('[data-fragment]').training"


def network_of(page):
    """Return a PyTorch network with the weights that the page shows, and its ratings."""
    weights = page.evaluate(
        f"Object.fromEntries(Object.entries({STATE}.net.parameters).map(([k, v]) => [k, [...v]]))"
    )
    ratings = torch.tensor(page.evaluate(f"{STATE}.ratings"), dtype=torch.float64)
    net = d2l.AutoRec(
        len(weights["encoderBias"]), len(weights["decoderBias"]), dropout=0.0
    ).double()
    with torch.no_grad():
        for ours, theirs in NAMES.items():
            parameter = net.get_parameter(theirs)
            parameter.copy_(torch.tensor(weights[ours]).view_as(parameter))
    return net, ratings


def loss_of(net, ratings, mask):
    """Return d2l's loss in training mode, or in evaluation mode, which has no mask."""
    return d2l.L2Loss()((net.train() if mask else net.eval())(ratings), ratings)


NAMES = {"encoder": "encoder.weight", "encoderBias": "encoder.bias"}
NAMES |= {"decoder": "decoder.weight", "decoderBias": "decoder.bias"}


@pytest.mark.parametrize("mask", [True, False])
def test_gradients_are_those_of_pytorch(show, mask):
    page = show(widgets.training_widget())
    net, ratings = network_of(page)
    loss_of(net, ratings, mask).backward()
    ours = page.evaluate(
        f"mask => Object.fromEntries(Object.entries({STATE}.net.gradients({STATE}.ratings, "
        "{mask})).map(([k, v]) => [k, [...v]]))",
        mask,
    )
    for name, gradient in ours.items():
        theirs = net.get_parameter(NAMES[name]).grad.flatten()
        assert theirs.abs().max() > 1e-3
        np.testing.assert_allclose(gradient, theirs, atol=1e-7)


@pytest.mark.parametrize("decay", [True, False])
def test_ten_steps_are_those_of_pytorch(show, decay):
    page = show(widgets.training_widget())
    net, ratings = network_of(page)
    trainer = torch.optim.Adam(net.parameters(), lr=0.05, weight_decay=0.01 if decay else 0)
    page.get_by_label("Decay").set_checked(decay)
    before = [p.detach().clone() for p in net.parameters()]
    for _ in range(10):
        trainer.zero_grad()
        loss_of(net, ratings, mask=True).backward()
        trainer.step()
        page.get_by_role("button", name="One step").press("Enter")
    ours, _ = network_of(page)
    for mine, theirs, start in zip(ours.parameters(), net.parameters(), before, strict=True):
        assert (theirs - start).abs().max() > 0.1
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=0)
    shown = torch.tensor(page.evaluate(f"{STATE}.predictions()"), dtype=torch.float64)
    torch.testing.assert_close(shown, net.eval()(ratings).detach(), atol=1e-4, rtol=0)
    cell = page.get_by_role("gridcell", name=re.compile("^Toy Story, Ada: given 5"))
    assert cell.get_attribute("aria-label").endswith(f"predicted {shown[0, 0]:.1f}")


def test_dropout_rests_units_and_keeps_the_mean(show):
    page = show(widgets.training_widget())
    kept = page.evaluate(
        f"""() => {{
            const net = {STATE}.net, kept = [], forward = net.forward;
            net.forward = (row, scales) => {{
                kept.push(...scales);
                return forward.call(net, row, scales);
            }};
            for (let i = 0; i < 500; i++) net.gradients({STATE}.ratings, {{dropout: 0.5}});
            return kept;
        }}"""
    )
    assert set(kept) == {0, 2}
    assert np.mean(kept) == pytest.approx(1, abs=0.05)  # five standard errors of 9,000 draws


def test_it_stops_by_itself(show):
    page = show(widgets.training_widget(num_steps=40), motion="no-preference")
    page.get_by_role("button", name="Train").click()
    done = page.get_by_role("status").filter(has_text="to go on, train again")
    done.filter(has_text="Stopped after 40 steps").wait_for(timeout=20_000)
    assert page.evaluate(f"{STATE}.curve.length") == 41
    assert len(page.locator("polyline.error").get_attribute("points").split()) == 41
    page.get_by_role("button", name="Train on").click()
    done.filter(has_text="Stopped after 80 steps").wait_for(timeout=20_000)
    assert page.evaluate(f"{STATE}.curve.length") == 81


def test_the_curve_is_marked_where_a_switch_was_moved(show):
    page = show(widgets.training_widget(num_steps=50))

    def click(name, role="checkbox"):
        page.get_by_role(role, name=name).click()

    click("Decay")  # before the first step: no mark
    click("Train", "button")
    click("Mask")
    click("Dropout")
    click("Dropout")  # and back: no mark
    click("Train on", "button")
    click("Decay")
    assert page.locator("text.mark").all_text_contents() == ["no mask", "no decay"]
    lines = page.locator("line.mark").evaluate_all("all => all.map(e => e.getAttribute('x1'))")
    points = page.locator("polyline.error").get_attribute("points").split()
    assert [float(x) for x in lines] == [float(points[i].split(",")[0]) for i in (50, 100)]
    marks = "; no mask from step 50; no decay from step 100"
    assert page.locator("#curve").text_content().endswith(marks)
    click("Start again", "button")
    assert page.locator(".mark").count() == 0


def test_there_is_no_minus_zero(show):
    page = show(widgets.training_widget())
    page.evaluate(f"{STATE}.net.forward = () => ({{predictions: [-0.04, -0.06, 0.04, -3, 5, 0]}})")
    page.evaluate(f"{STATE}.draw()")
    row = page.locator("tr").nth(1)
    assert row.locator(".guess").all_inner_texts() == ["0.0", "−0.1", "0.0", "−3.0", "5.0", "0.0"]
    assert row.get_by_role("gridcell").first.get_attribute("aria-label").endswith("predicted 0.0")


def test_reduced_motion_draws_only_the_result(show):
    page = show(widgets.training_widget())
    page.evaluate(
        f"() => {{ window.drawn = 0; const draw = {STATE}.draw;"
        f"{STATE}.draw = function () {{ window.drawn += 1; draw.call(this); }}; }}"
    )
    page.get_by_role("button", name="Train").click()
    assert page.evaluate(f"[{STATE}.net.steps, window.drawn]") == [200, 1]


def test_pause_and_start_again(show):
    page = show(widgets.training_widget(num_steps=100_000), motion="no-preference")
    page.get_by_role("button", name="Train").click()
    page.get_by_role("button", name="Pause").click()
    steps = f"""new Promise(done => requestAnimationFrame(() => requestAnimationFrame(
        () => done({STATE}.net.steps))))"""
    assert page.evaluate(steps) == page.evaluate(steps)
    page.get_by_role("button", name="Start again").click()
    assert page.evaluate(f"[{STATE}.net.steps, {STATE}.curve.length]") == [0, 1]


def mean_of_empty_cells(page):
    return float(page.locator(".legend .mean").inner_text())


def test_without_the_mask_the_empty_cells_sink(show):
    page = show(widgets.training_widget())
    page.get_by_role("button", name="Train").click()
    with_mask = mean_of_empty_cells(page)
    assert float(page.locator(".legend .rmse").inner_text()) < 0.5
    page.get_by_label("Mask").uncheck()
    page.get_by_role("button", name="Train").click()
    assert with_mask > 2
    assert mean_of_empty_cells(page) < 0.5


def test_cells_are_edited_by_click_and_by_key(show):
    page = show(widgets.training_widget())
    page.evaluate(FOCUSED)
    page.get_by_role("gridcell", name="Toy Story, Ada: given 5").click()
    assert page.evaluate(f"{STATE}.ratings[0][0]") == 0  # after 5 comes empty
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("focused().getAttribute('aria-label')").startswith("Lion King, Ben: empty")
    page.keyboard.press("4")
    assert page.evaluate("focused().getAttribute('aria-label')").startswith(
        "Lion King, Ben: given 4"
    )
    page.keyboard.press("Delete")
    page.keyboard.press("Space")
    assert page.evaluate(f"{STATE}.ratings[1][1]") == 1
    for _ in range(9):
        page.keyboard.press("ArrowUp")  # does not leave the table
    assert page.evaluate("focused().getAttribute('aria-label')").startswith("Toy Story, Ben")
    net, ratings = network_of(page)
    shown = torch.tensor(page.evaluate(f"{STATE}.predictions()"), dtype=torch.float64)
    torch.testing.assert_close(shown, net.eval()(ratings).detach())


def test_hidden_units(show):
    page = show(widgets.training_widget())
    for count in (2, 4):
        page.get_by_role("combobox", name="Hidden units").select_option(str(count))
        assert network_of(page)[0].encoder.out_features == count


# Both.


def test_accessibility(show):
    page = show(small_page(examples={"Somebody": {1: 5, 2: 3}}), widgets.training_widget())
    page.get_by_role("button", name="Somebody").click()
    page.get_by_role("button", name="Train").click()
    page.evaluate(Axe().axe_script)
    for scheme, width in (("light", 1280), ("dark", 390)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_function(f"{BACKGROUND} === '{BACKGROUNDS[scheme]}'")
        assert page.evaluate(OVERFLOW) == []
        page.get_by_role("combobox", name="Search").fill("film")
        assert page.locator(OPTIONS).count() == 8
        assert page.evaluate(AXE, {}) == []
        page.keyboard.press("Escape")


def test_every_control_has_a_visible_focus_and_is_large_enough_to_touch(show):
    page = show(
        small_page(examples={"Somebody": {1: 5, 2: 3}}), widgets.training_widget(), width=390
    )
    page.get_by_role("button", name="Somebody").click()
    page.evaluate(FOCUSED)
    page.locator("body").evaluate("() => focused().blur()")
    seen = []
    while True:
        page.keyboard.press("Tab")
        kind, is_narrow, width, height, outline = page.evaluate(
            """() => {
                const e = focused(), isNarrow = Boolean(e.closest('fieldset'));
                const drawn = e.type === 'radio' ? e.nextElementSibling : e;
                const target = e.type === 'checkbox' ? e.closest('label') : e;
                const { width, height } = target.getBoundingClientRect();
                const style = getComputedStyle(drawn);
                const outline = style.outlineStyle + ' ' + style.outlineWidth;
                return [e.tagName, isNarrow, width, height, outline];
            }"""
        )
        if kind == "BODY":
            break
        seen.append(kind)
        assert outline == "solid 3px", seen
        # Stars and their ✕ stand beside a title in one line of a phone: not under 24 px (WCAG 2.2).
        assert height >= 40, (seen, width, height)
        assert width >= (24 if is_narrow else 40), (seen, width, height)
    assert {"INPUT", "BUTTON", "SELECT", "TD"} <= set(seen)
    assert len(seen) > 20


BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(26, 28, 32)"}
BACKGROUND = (
    "getComputedStyle(document.querySelector('[data-fragment]').shadowRoot"
    ".querySelector('.page')).backgroundColor"
)
SET_THEME = """theme => {
    document.documentElement.removeAttribute('data-theme');
    document.documentElement.removeAttribute('theme');
    document.body.removeAttribute('data-jp-theme-light');
    for (const [name, value] of theme) (name.startsWith('data-jp') ? document.body
        : document.documentElement).setAttribute(name, value);
}"""


def test_dark_mode_follows_the_page_before_the_system(show):
    page = show(small_page())
    for theme, system, wanted in [
        ([], "dark", "dark"),  # the system
        ([("data-theme", "light")], "dark", "light"),  # the book
        ([("data-theme", "dark")], "light", "dark"),
        ([("data-jp-theme-light", "true")], "dark", "light"),  # JupyterLab
        ([("data-jp-theme-light", "false")], "light", "dark"),
        ([("theme", "dark")], "light", "dark"),  # Colab
        ([], "light", "light"),
    ]:
        page.emulate_media(color_scheme=system)
        page.evaluate(SET_THEME, theme)
        page.wait_for_function(f"{BACKGROUND} === '{BACKGROUNDS[wanted]}'")


# Without a browser.


def test_a_fragment_is_small_and_the_same_every_time(live):
    assert len(json.dumps(live[0].html)) < 500_000
    assert small_page().html == small_page().html
    assert len(widgets.training_widget().html) < 40_000


def test_a_fragment_is_shown_as_html_and_printed_as_a_line():
    fragment = assemble("training", "Fallback.", ["autorec"], {})
    assert fragment._repr_html_() == fragment.html
    assert re.fullmatch(r"<training, an HTML fragment of \d+ kB>", repr(fragment))
    assert "<p>Fallback. It needs JavaScript" in fragment.html


def test_nothing_in_a_fragment_can_end_its_script():
    html = small_page(HOSTILE + ["x"] * 24, examples={HOSTILE[1]: {1: 5}}).html
    assert html.count("<script") == html.count("</script") == 1
    assert "<!--" not in html
    assert not re.search("https?:|fetch|import\\(", html)


def network(**options):
    return SparseAutoRec(2, 3, column_means=torch.full((3,), 3.0), **options)


@pytest.mark.parametrize(
    ("net", "titles", "counts", "examples", "message"),
    [
        (SparseAutoRec(2, 3), "abc", [30] * 3, {}, "and column_means"),
        (network(more_hidden=[2]), "abc", [30] * 3, {}, "one hidden layer"),
        (network(activation=torch.tanh), "abc", [30] * 3, {}, "than the sigmoid"),
        (network(output=torch.sigmoid), "abc", [30] * 3, {}, "a linear output"),
        (network(), "ab", [30] * 3, {}, "2 titles"),
        (network(), "abc", [30] * 2, {}, "2 num_ratings"),
        (network(), "abc", [30] * 3, {"a": {3: 6}}, "ratings must be whole numbers"),
    ],
)
def test_what_the_live_page_refuses(net, titles, counts, examples, message):
    with pytest.raises(ValueError, match=message):
        widgets.live_recommender(net, titles, torch.tensor(counts), examples=examples)
