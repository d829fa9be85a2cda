"""What spam rules look at in a text. Its marks find texts that are almost the same.

The lists have words of what spam sells and of how it flatters, in some languages. One alone proves nothing.
They are the beginnings of words: `casino` finds casinos too. Each book learns further words from its owner.
"""

import hashlib
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import NamedTuple

from sqlalchemy import Connection, delete
from sqlalchemy.orm import Session

from guestbook.storage import plain_sql
from guestbook.storage.models import Comment, TextMark
from guestbook.storage.plain_sql import Select

# The page makes links of these: an address, or a bare host under one of the old top-level domains.
LINK_PATTERN = re.compile(
    r"https?://[\w.-]*|\bwww\.[\w.-]+|(?<![@\w.-])[\w-]+(?:\.[\w-]+)*\.(?:com|net|int|edu|gov|org|info|mil)\b",
    re.IGNORECASE,
)
# In a name also hosts that the page would not link. A host has a letter before its dot, "J.R." has one only.
NAME_LINK = re.compile(
    r"https?:|\bwww\.|[\w-]{3,}\.(?:com|net|org|info|biz|ru|cn|xyz|top|shop|online|site|club|store|vip)\b",
    re.IGNORECASE,
)
LINK_MARKUP = {
    "BBCode": re.compile(r"\[(?:url|link)\b[^\]\n]{0,300}\]", re.IGNORECASE),
    "HTML": re.compile(r"<a\s[^>\n]{0,300}\bhref\b", re.IGNORECASE),
    "Markdown": re.compile(r"\]\(\s{0,9}https?://", re.IGNORECASE),
}
# Nine digits or more, as people write numbers to call, and not part of a longer code.
TELEPHONE = re.compile(r"(?<![\w./-])(?:\+|00|\(?\d)(?:[ ().\u2011-]{0,2}\d){8,13}(?![\w/-])")
CONTACT_WORD = re.compile(
    r"whats ?app|telegram|viber|加微信|微信号|\b(?:wechat|line id)\b|"
    r"\b(?:toll.?free|helpline|customer (?:care|service|support)|contact (?:me|us|him|her))\b",
    re.IGNORECASE,
)
MONEY = re.compile(
    r"[$€£¥₽] ?\d|\d ?(?:[$€£¥₽]|(?:%|percent|prozent) (?:off|cheaper|rabatt|discount|bonus))"
    r"|\d{2} (?:euros?|usd|dollars?|руб)",
    re.IGNORECASE,
)
ACCOUNT = re.compile(r"@\w|\d{5}|信.{0,3}[a-z]+\d")
MAIL_LIKE = re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}\.\w")
SCRIPT_NAMES = {  # by the first word of a letter's name in Unicode, if they differ
    "CJK": "Chinese or Japanese",
    "HIRAGANA": "Chinese or Japanese",
    "KATAKANA": "Chinese or Japanese",
    "HANGUL": "Korean",
}
LOOKALIKE_SCRIPTS = {"Latin", "Cyrillic", "Greek"}
FEWEST_LETTERS = 4  # letters of a script that is used
SHARE = 0.3  # a share of the letters
LETTERS_READ = 600  # The rest of a text looks the same.
ONE_WORD = re.compile(r"[^\W\d_]+")


def links(text: str) -> int:
    """Return how many links the page would make of it, roughly."""
    return len(LINK_PATTERN.findall(text))


def link_markup(text: str) -> dict[str, int]:
    """Return how many links it writes in BBCode, HTML and Markdown."""
    found = {kind: len(pattern.findall(text)) for kind, pattern in LINK_MARKUP.items()}
    return {kind: count for kind, count in found.items() if count}


def contact(text: str) -> str | None:
    """Return what kind of contact a stranger gives for business: a telephone number or an account."""
    has_number, word = TELEPHONE.search(text), CONTACT_WORD.search(text)
    if word and (has_number or ACCOUNT.search(text)):
        return f"“{word[0]}” with a number or an account"
    return "a telephone number" if has_number else None


def scripts(text: str) -> frozenset[str]:
    """Return the writing systems that make up a good part of a text; a foreign word makes none."""
    counts = Counter(map(_script, filter(str.isalpha, text[:LETTERS_READ])))
    letters = counts.total()
    return frozenset(
        script for script, count in counts.items() if count >= FEWEST_LETTERS and count >= SHARE * letters
    )


def used_scripts(texts: Iterable[str]) -> frozenset[str]:
    """Return the writing systems of which any of the texts has a letter."""
    return frozenset(map(_script, filter(str.isalpha, set("".join(texts)))))


def mixed_word(text: str) -> str | None:
    """Return a word that mixes letters of scripts that only look alike, as spam does to hide its words."""
    for match in ONE_WORD.finditer(text[: 4 * LETTERS_READ]):
        if len(match[0]) > 3 and len(LOOKALIKE_SCRIPTS & set(map(_script, match[0]))) > 1:
            return match[0][:30]
    return None


def _script(letter: str) -> str:
    if letter.isascii():
        return "Latin"
    first = unicodedata.name(letter, "UNKNOWN").partition(" ")[0]
    return SCRIPT_NAMES.get(first, first.capitalize())


FEWEST_LETTERS_MARKED = 40  # Shorter greetings are often the same.
PART = 8  # letters of the overlapping parts that texts are compared by
SAME_SHARE = 0.6  # a share of the parts of both texts
SECOND_SEED = 0x5EED
ADDRESSES = re.compile(r"https?://\S+|\bwww\.\S+", re.IGNORECASE)
NOT_LETTERS = re.compile(r"[\W\d_]+")


class Repeated(NamedTuple):
    """An earlier comment with almost the same text."""

    same_name: bool
    status: str


def parts(text: str) -> set[bytes]:
    """Return the overlapping parts of the letters of a text, without addresses; none of a short text."""
    folded = unicodedata.normalize("NFKC", ADDRESSES.sub(" ", text)).casefold()
    letters = NOT_LETTERS.sub("", folded)
    if len(letters) < FEWEST_LETTERS_MARKED:
        return set()
    overlapping = [letters[place : place + PART] for place in range(len(letters) - PART + 1)]
    return set(map(str.encode, overlapping))


@lru_cache(maxsize=16)  # A new comment needs them twice.
def marks_of(text: str) -> tuple[str, str] | None:
    """Return the marks of a text, or None if it is short.

    Each is the part with the smallest checksum of one kind. Two texts have the same one as likely as a part
    of both is in each of them (min-wise hashing).
    """
    found = parts(text)
    if not found:
        return None
    first, second = min(found, key=zlib.crc32), min(found, key=lambda part: zlib.crc32(part, SECOND_SEED))
    return _hash(first), _hash(second)


def is_almost_same(one: set[bytes], other: set[bytes]) -> bool:
    """Whether most parts of the two texts are in both."""
    return len(one & other) >= SAME_SHARE * len(one | other) > 0


def _hash(part: bytes) -> str:
    return hashlib.blake2b(part, digest_size=8).hexdigest()


COMPARED = 5  # newest comments for each mark
WITH_MARK = [
    "SELECT comment_id FROM text_marks"
    f" WHERE text_marks.{column} = :mark ORDER BY comment_id DESC LIMIT {COMPARED}"
    for column in ("first", "second")
]
ADD_MARKS = plain_sql.insertion("text_marks", ("comment_id", "first", "second"))
COMPARED_COLUMNS = "SELECT name, status, message FROM comments WHERE id IN "


def find_repeated(select: Select, name: str, message: str, own_id: str | None = None) -> Repeated | None:
    """Return another comment with almost the same text, rather one that is spam; None without one."""
    marks = marks_of(message)
    if marks is None:
        return None
    looks = zip(WITH_MARK, marks, strict=True)
    near = {comment_id for query, mark in looks for (comment_id,) in select(query, mark=mark)}
    near.discard(own_id or "")
    if not near:
        return None
    mine, (ids, named) = parts(message), plain_sql.listed(near)
    found = [
        Repeated(its_name == name, status)
        for its_name, status, text in select(COMPARED_COLUMNS + ids, **named)
        if is_almost_same(mine, parts(text))
    ]
    return min(found, key=lambda one: one.status != "spam", default=None)


def remember_new_text(connection: Connection, comment: Comment) -> None:
    """Store the marks of a comment that has none, in the caller's transaction."""
    if marks := marks_of(comment.message):
        values = {"comment_id": comment.id, "first": marks[0], "second": marks[1]}
        plain_sql.run(connection, ADD_MARKS, **values)


def remember_text(session: Session, comment: Comment) -> None:
    """Store the marks of a comment that is new or has another text, in the caller's transaction."""
    session.execute(delete(TextMark).where(TextMark.comment_id == comment.id))
    remember_new_text(session.connection(), comment)


SOLD = (
    # Gambling.
    "casino, kasino, slots, jackpot, roulette, blackjack, baccarat, poker, betting, gambl, free spins, no "
    "deposit, fixed match, spielautomat, sportwett, freispiel, ohne einzahlung, machines à sous, tours "
    "gratuits, sans dépôt, tragamonedas, apuestas, tiradas gratis, sin depósito, казино, игровые "
    "автоматы, ставки на, букмекер, фриспин, gacor, judi, 赌场, 娱乐城, 百家乐, 老虎机, カジノ, bet on, "
    "best odds, lottery, bahis, apostas, cassino, scommess, bukmacher, kasyno, gokken, lotterie, "
    # Medicine.
    "viagra, cialis, levitra, tadalafil, sildenafil, xanax, tramadol, oxycodone, modafinil, steroid, cbd, "
    "cannabis, pills, keto, prescription, weight loss, lose weight, belly fat, male enhancement, "
    "potenzmittel, rezeptfrei, ohne rezept, abnehmen, sans ordonnance, gélules, maigrir, minceur, sin "
    "receta, pastillas, adelgazar, виагр, дженерик, без рецепта, мефедрон, закладк, 伟哥, wrinkle, "
    "slimming, detox, collagen, testosterone, supplement, hair loss, burn fat, complément, perdre du "
    "poids, perdez, dimagri, emagrec, afvallen, odchudz, zayıfla, похуде, falten, "
    # Finance.
    "bitcoin, btc, crypto, krypto, usdt, forex, airdrop, invest, loan, passive income, guaranteed profit, "
    "from home, per day, credit score, binary options, gift card, kredit, schufa, von zu hause, gewinn, "
    "prêt, depuis chez vous, à domicile, argent, préstamo, gana dinero, desde casa, инвест, крипт, "
    "кредит, заработ, доход, без вложений, 投资, 贷款, 比特币, 日赚, 副業, 稼げ, trading, trader, profit "
    "daily, guaranteed profits, deposit today, first deposit, payday, mortgage, refinanc, real money, "
    "interest rate, rendite, geld verdienen, verdienen sie, gagnez, ganar dinero, ganhe, empréstimo, "
    "prestit, guadagn, pożyczk, chwilów, kredyt, zarab, lening, geld lenen, kredi, para kazan, займ, "
    "деньги, "
    # Sex.
    "porn, xxx, escort, nude, naked, horny, milf, sex, onlyfans, webcam, dating, singles, call girls, hot "
    "girls, erotik, geile, rencontre coquine, rencontres coquines, femmes chaudes, calientes, секс, "
    "проститут, интим, знакомств, 约炮, 美女, 出会, 人妻, adult video, adult dating, am lonely, "
    "uncensored, hookup, on cam, my cam, private room, nice man, for a man, cherche un homme, chicas "
    "solteras, randki, érotique, erotic, erotisch, познаком, с мужчиной, "
    # Search engines.
    "seo, backlink, xrumer, dofollow, google ranking, ranking, guest post, link building, first page, "
    "followers, sponsored, traffic, linkaufbau, gesponsert, platz 1, référencement, première page, "
    "posicionamiento, primera página, продвижени, раскрутк, прогон, хрумер, 百度, 排名, page one, "
    "seguidores, abonnés, takipçi, obserwując, подписчик, "
    # Papers.
    "essay, dissertation, term paper, homework, assignment help, academic writing, plagiari, ghostwriter, "
    "hausarbeit, plagiat, rédaction de, tesis, trabajos universitarios, курсов, дипломн, купить диплом, "
    "代写, 论文, диплом, native writers, "
    # Fakes.
    "replica, réplica, outlet, counterfeit, cloned, rolex, louis vuitton, fake passport, driver license, "
    "driving license, diploma, führerschein kaufen, реплик, копии, 高仿, 代购, 发票, スーパーコピー, "
    "ブランド, perfect copies, passports, id cards, clone cards, cvv, escrow, handbags, luxury watch, "
    # Goods.
    "download, torrent, streaming, iptv, crack, keygen, license key, generator, giveaway, nft, wallet, "
    "manufacturer, supplier, factory, sourcing, dropshipping, inquiry, catalog, lawyer, compensation, "
    "insurance, consultation, rehab, near me, quote, hosting, proxies, leads, marketing, holiday deal, "
    "holiday package, % off, money back, guarantee, no skills, no experience, hurry up, angebote, "
    "festpreis, vergleichen und, assurance, seguros, приложение, гарантия, онлайн заявка, "
    # Offers.
    "discount, cheap, wholesale, bonus, coupon, promo, buy, order now, call now, free quote, free trial, "
    "sign up, free shipping, worldwide shipping, limited offer, special offer, amazing offer, exclusive "
    "offer, best deal, for sale, best price, factory price, price list, click here, 24/7, rabatt, "
    "günstig, kaufen, bestellen, angebot anfordern, jetzt anmelden, jetzt registrieren, kostenlos "
    "anmelden, pas cher, remise, réduction, acheter, commandez, devis gratuit, inscription gratuite, "
    "barat, descuento, comprar, regístrate, presupuesto, скидк, дёшево, недорого, купить, заказ, "
    "регистраци, под ключ, бонус, 优惠, 免费注册, 立即, 激安, 送料無料, 今すぐ, order today, stocks last, "
    "instant delivery, discreet, affordable, upfront, book now, book your, beantragen, reserva hoy, "
    "sconto, acquista, preventivo, desconto, compre, grátis, korting, goedkoop, tanio, zniżk, darmow, "
    "zamów, indirim, ucuz, satın al, бесплатн, доставк, купите, "
    # Contacts.
    "whatsapp, telegram, toll free, helpline, customer service, customer support, customer care, "
    "technical support, hacker, illuminati, inheritance, beneficiary, bank details, next of kin, spell "
    "cast, love spell, lost love, black magic, vashikaran, astrologer, marabout, voyant, retour de l'être "
    "aimé, spell caster, psychic, tarot, horoscop, voyance, hellseh, kartenleg, tarocchi, гадан, "
    "приворот, notdienst, dépannage, claim your, телеграм, круглосуточно, звоните, 加微信, line登録, "
    # Trades.
    "plumber, roofing, roofer, electrician, locksmith, contractor, we are licensed, boiler repair, "
    "cleaning service, moving company, airport transfer, car rental, limousine, pest control, free "
    "estimate, no obligation, in your area, near you, schlüsseldienst, klempner, entrümpel, umzugs, in "
    "ihrer nähe, plombier, serrurier, déménag, près de chez vous, fontanero, cerrajero, idraulico, "
    "encanador, loodgieter, tesisat, строительств, "
    # Business.
    "we offer, we provide, we sell, we supply, we produce, we manufacture, our services, our experts, our "
    "products, our company, our agency, our advisers, our technician, your business, your company, your "
    "requirement, dear sir, dear manager, hello sir, wir bieten, unsere produkte, unsere leistungen, nous "
    "proposons, nos services, ofrecemos, nuestros servicios, nuestra empresa, offriamo, i nostri servizi, "
    "oferecemos, nossos serviços, oferujemy, wij bieden, onze diensten, hizmetlerimiz, предлагаем, наша "
    "компания, наши услуги, bulletproof, full version, serial key, game keys, movies online, live "
    "channels, unlimited coins"
)
PRAISE = (
    "blog, weblog, article, post, content, paragraph, writeup, write-up, commenting, your posts, "
    "information, informative, useful, helpful, bookmark, my site, keep up, keep writing, thanks for "
    "sharing, well written, artikel, beitrag, informationen, informativ, nützlich, hilfreich, "
    "lesezeichen, besuchen sie, schauen sie, weiter so, visitez, mon site, favoris, merci pour le "
    "partage, continuez, artículo, información, favoritos, gracias por compartir, visita, mi web, página "
    "web, стать, информац, полезн, закладки, заходите, мой сайт, 文章, 分享, 访问, visit my, visit our, "
    "also visit, this topic, off topic, info, search engine, stumbled upon, surfing around, subscrib, "
    "great work, wonderful read, paragraph is pleasant, these things, these issues, your site, saved "
    "your, every bit of, to discover, could not be written, could not be any better, type of info, "
    "writing style, web browser, your time for, great potential"
)
SPACELESS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


@cache  # This takes longer than all else in the file.
def _pattern(listed: str) -> re.Pattern[str]:
    """Return a pattern that finds the words at the beginning of words, and anywhere in unspaced scripts."""
    words = sorted((word.strip() for word in listed.split(",")), key=len, reverse=True)
    spaced = "|".join(re.escape(word) for word in words if word and not SPACELESS.search(word))
    unspaced = "|".join(re.escape(word) for word in words if SPACELESS.search(word))
    return re.compile(rf"(?<![^\W_])(?:{spaced})|{unspaced}")


@lru_cache(maxsize=5_000)  # No list has more words.
def beginning_of(word: str) -> re.Pattern[str]:
    """Return a pattern that finds a word or phrase of the owner's list in the same way."""
    return re.compile(re.escape(word) if SPACELESS.search(word) else rf"(?<![^\W_]){re.escape(word)}")


def sold(text: str) -> list[str]:
    """Return the words for what spam sells that a casefolded text holds, each once."""
    return list(dict.fromkeys(_pattern(SOLD).findall(text)))


def praise(text: str) -> list[str]:
    """Return the words with which spam flatters any page that a casefolded text holds, each once."""
    return list(dict.fromkeys(_pattern(PRAISE).findall(text)))
