--
-- PostgreSQL database dump
--

\restrict k3Q0f7Zr

-- Dumped from database version 15.20 (Debian 15.20-0+deb12u1)
-- Dumped by pg_dump version 15.20 (Debian 15.20-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: comments; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.comments (
    id text NOT NULL,
    "pageId" text NOT NULL,
    created_at timestamp(3) without time zone NOT NULL,
    updated_at timestamp(3) without time zone NOT NULL,
    "deletedAt" timestamp(3) without time zone,
    "moderatorId" text,
    by_email text,
    by_nickname text NOT NULL,
    content text NOT NULL,
    approved boolean DEFAULT false NOT NULL,
    "parentId" text
);


--
-- Name: pages; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.pages (
    id text NOT NULL,
    slug text NOT NULL,
    url text,
    title text,
    created_at timestamp(3) without time zone NOT NULL,
    updated_at timestamp(3) without time zone NOT NULL,
    "projectId" text NOT NULL
);


--
-- Name: projects; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.projects (
    id text NOT NULL,
    title text NOT NULL,
    "ownerId" text NOT NULL,
    deleted_at timestamp(3) without time zone
);


--
-- Name: users; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.users (
    id text NOT NULL,
    name text,
    email text,
    created_at timestamp(3) without time zone DEFAULT now() NOT NULL
);


--
-- Data for Name: comments; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.comments (id, "pageId", created_at, updated_at, "deletedAt", "moderatorId", by_email, by_nickname, content, approved, "parentId") FROM stdin;
5c1e7e0a-0000-4000-8000-000000000001	a3f0c2de-0000-4000-8000-0000000000c1	2021-04-17 09:55:00.123	2021-04-17 09:55:00.123	\N	\N	ada@secret.example	Ada	Hello *you*,\nback\\slash\tand tab 🎈	t	\N
5c1e7e0a-0000-4000-8000-000000000002	a3f0c2de-0000-4000-8000-0000000000c1	2021-04-17 09:56:00.123	2021-04-17 09:56:00.123	\N	a3f0c2de-0000-4000-8000-0000000000aa	mo@secret.example	mo	Thank you	t	5c1e7e0a-0000-4000-8000-000000000001
4d1e7e0a-0000-4000-8000-000000000003	a3f0c2de-0000-4000-8000-0000000000c1	2021-04-17 09:57:00.123	2021-04-17 09:57:00.123	\N	\N	\N	Bob	Waiting	f	\N
3e1e7e0a-0000-4000-8000-000000000004	a3f0c2de-0000-4000-8000-0000000000c1	2021-04-17 09:58:00.123	2021-04-17 09:58:00.123	2021-04-18 00:00:00	\N		Eve	Deleted	t	\N
2f1e7e0a-0000-4000-8000-000000000005	a3f0c2de-0000-4000-8000-0000000000c2	2021-04-17 09:59:00	2021-04-17 09:59:00	\N	\N	\N	Cleo	On the blog	t	\N
1a1e7e0a-0000-4000-8000-000000000006	a3f0c2de-0000-4000-8000-0000000000c2	2021-04-17 10:00:00	2021-04-17 10:00:00	\N	\N	ada@secret.example	Ada	Me too	t	2f1e7e0a-0000-4000-8000-000000000005
\.


--
-- Data for Name: pages; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.pages (id, slug, url, title, created_at, updated_at, "projectId") FROM stdin;
a3f0c2de-0000-4000-8000-0000000000c1	/guestbook	https://me.example/guestbook/	Guestbook	2021-04-17 09:55:00.123	2021-04-17 09:55:00.123	a3f0c2de-0000-4000-8000-0000000000bb
a3f0c2de-0000-4000-8000-0000000000c2	/blog	\N	\N	2021-04-17 09:59:00	2021-04-17 09:59:00	a3f0c2de-0000-4000-8000-0000000000bb
\.


--
-- Data for Name: projects; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.projects (id, title, "ownerId", deleted_at) FROM stdin;
a3f0c2de-0000-4000-8000-0000000000bb	My site	a3f0c2de-0000-4000-8000-0000000000aa	\N
\.


--
-- Data for Name: users; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.users (id, name, email, created_at) FROM stdin;
a3f0c2de-0000-4000-8000-0000000000aa	mo	mo@secret.example	2021-04-01 08:00:00
\.


--
-- Name: comments comments_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.comments
    ADD CONSTRAINT comments_pkey PRIMARY KEY (id);


--
-- PostgreSQL database dump complete
--

\unrestrict k3Q0f7Zr

